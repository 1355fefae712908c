/** What the declarations must take, and what they must not. Compiled, not run. */

import { bind, Hexcast, HexcastError } from "../hexcast.js";

export async function use(): Promise<string> {
  const live = new Hexcast("/topics/a", { ways: ["sse", "poll"], last: 3, getToken: async () => "token" });
  live.addEventListener("gap", ({ detail }) => detail.topics.length);
  live.addEventListener("error", ({ detail }) => detail instanceof HexcastError && detail.status);
  live.addEventListener("anything", (event: Event) => event.type);
  for await (const record of live) {
    if (record.op == "gap") return record.before;
    if (record.op == "post") break;
  }
  // @ts-expect-error: there is no such way
  new Hexcast("/topics/a", { ways: ["push"] });
  // @ts-expect-error: a published record cannot be a gap
  live.addEventListener("record", ({ detail }) => detail.before);
  const bound: Hexcast = bind(document, { since: "a-1", own: async (element, wanted) => wanted() && element.remove() });
  bound.add("b", "c/*");
  bound.drop("b");
  return (await live.put("a", { x: 1 }, { headers: { "if-match": '"a-1"' } })).id + (bound.cursor ?? "");
}
