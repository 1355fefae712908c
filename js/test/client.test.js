/** The client against a server that is told what to answer: tokens, refusals, waits, a full buffer. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";

import { Hexcast } from "../src/client.js";

/** A server whose answers are the test's; what it was asked is kept. */
async function serving(t, answer) {
  const asked = [], server = createServer((request, response) => {
    const url = new URL(request.url, "http://x");
    asked.push({ url, headers: request.headers, method: request.method, at: Date.now() });
    answer(response, { url, request, number: asked.length, query: Object.fromEntries(url.searchParams) });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { asked, base: `http://127.0.0.1:${server.address().port}` };
}

const json = (response, body, status = 200, headers = {}) => {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
};
const stream = (response) => {
  response.writeHead(200, { "content-type": "text/event-stream", "hexcast-cursor": "e-0" });
  response.write("retry: 10\n\n");
};
const event = (seq, more) => `id: e-${seq}\ndata: ${JSON.stringify({ id: `e-${seq}`, topic: "t", op: "post", data: seq, ...more })}\n\n`;

function following(t, url, options) {
  const live = new Hexcast(url, { backoff: 10, patience: 2000, ...options }), told = [];
  for (const type of ["error", "expired", "gap", "way"])
    live.addEventListener(type, ({ detail }) => told.push([type, detail.status ?? detail]));
  t.after(() => live.close());
  return { live, told };
}

async function take(live, number) {
  const records = [];
  for await (const record of live) if (records.push(record) == number) break;
  return records;
}

test("a token is asked for again when one has expired", async (t) => {
  const { asked, base } = await serving(t, (response, { request }) => {
    if (request.headers.authorization == "Bearer one") {
      stream(response);
      response.write(event(1) + "event: hexcast:expired\ndata: {}\n\n");
    } else if (request.headers.authorization == "Bearer two") {
      stream(response);
      response.write(event(2));
    } else json(response, { status: 401, title: "no" }, 401);
  });
  const tokens = ["zero", "one", "two"];
  const { live, told } = following(t, base + "/topics/t", { ways: ["sse"], getToken: async () => tokens.shift() });
  assert.deepEqual((await take(live, 2)).map(({ data }) => data), [1, 2]);
  assert.deepEqual(told.filter(([type]) => type == "expired"), [["expired", 401], ["expired", 401]]);
  assert.equal(asked.at(-1).url.searchParams.get("since"), "e-1");
});

test("what is refused on every way is fatal, and thrown to who iterates", async (t) => {
  const { base } = await serving(t, (response) => json(response, { status: 403, title: "Forbidden", detail: "not yours" }, 403));
  const { live, told } = following(t, base + "/topics/t", { ways: ["sse", "long-poll", "poll"] });
  await assert.rejects(take(live, 1), { status: 403, title: "Forbidden", detail: "not yours", fatal: true });
  assert.equal(live.state, "closed");
  assert.equal(told.length, 3);
});

test("Retry-After is waited for", async (t) => {
  const { asked, base } = await serving(t, (response, { number }) => {
    if (number == 1) json(response, { title: "busy" }, 503, { "retry-after": "1" });
    else json(response, { cursor: "e-1", records: [{ id: "e-1", topic: "t", op: "put", data: 1 }], gap: null, more: false });
  });
  const { live } = following(t, base + "/topics/t", { ways: ["poll"] });
  await take(live, 1);
  assert.ok(asked[1].at - asked[0].at >= 990, "it came back too early");
});

test("a gap is told in its place", async (t) => {
  const gap = { after: "a-1", before: "e-5", topics: ["t"] };
  const { base } = await serving(t, (response) => {
    stream(response);
    response.write(`event: hexcast:gap\ndata: ${JSON.stringify(gap)}\n\n` + event(5));
  });
  const { live, told } = following(t, base + "/topics/t?since=a-1", { ways: ["sse"] });
  const [first, second] = await take(live, 2);
  assert.deepEqual(first, { op: "gap", ...gap });
  assert.equal(second.id, "e-5");
  assert.deepEqual(told.find(([type]) => type == "gap")[1], gap);
});

test("deltas are applied; what does not fit is read anew", async (t) => {
  const text = (seq, op, data, base) => event(seq, { op, data, base, topic: "s" });
  const { asked, base } = await serving(t, (response, { query }) => {
    if (query.way == "poll") json(response, { cursor: "e-7", records: [{ id: "e-7", topic: "s", op: "put", data: { a: 7 } }], more: false });
    else {
      stream(response);
      response.write(text(1, "put", { a: 1, b: { c: 1 } }) + text(2, "patch", { b: { d: 2 } }, "e-1") + text(3, "put", "x")
        + text(4, "append", "y", "e-3") + text(6, "patch", { a: 6 }, "e-5") + text(7, "patch", { a: 7 }, "e-6"));
    }
  });
  const { live } = following(t, base + "/topics/s", { ways: ["sse"] });
  const records = await take(live, 5);
  assert.deepEqual(records.map(({ data }) => data), [{ a: 1, b: { c: 1 } }, { a: 1, b: { c: 1, d: 2 } }, "x", "xy", { a: 7 }]);
  assert.deepEqual(records.map(({ op }) => op), ["put", "put", "put", "put", "put"]);
  assert.equal(asked[0].url.searchParams.get("delta"), "1");
  assert.deepEqual(live.get("s"), { a: 7 });
});

test("a reader that is slow holds up the reading, and nothing is lost or doubled", async (t) => {
  const { base } = await serving(t, (response, { query }) => {
    const after = +(query.since?.split("-")[1] ?? 0);
    const records = [];
    for (let seq = after + 1; seq <= Math.min(after + 20, 200); seq++) records.push({ id: `e-${seq}`, topic: "t", op: "post", data: seq });
    json(response, { cursor: `e-${Math.min(after + 20, 200)}`, records, gap: null, more: after < 180 });
  });
  const { live } = following(t, base + "/topics/t?since=e-0", { ways: ["poll"], every: 50, buffer: 7 });
  const seen = [], cursors = [];
  for await (const { data } of live) {
    seen.push(data);
    await new Promise((go) => setTimeout(go, 1));
    cursors.push(+live.cursor.split("-")[1] - data);
    if (data == 200) break;
  }
  assert.deepEqual(seen, Array.from({ length: 200 }, (_, n) => n + 1));
  assert.ok(Math.max(...cursors) <= 8, `${Math.max(...cursors)} were buffered`);
});

test("publishing is tried again with the same key", async (t) => {
  const { asked, base } = await serving(t, (response, { number }) => {
    if (number == 1) response.destroy();
    else if (number == 2) json(response, { title: "unknown" }, 503);
    else json(response, { id: "e-1", topic: "t", changed: true }, 201);
  });
  const { live } = following(t, base + "/topics");
  assert.deepEqual(await live.post("a b/c", { x: 1 }), { id: "e-1", topic: "t", changed: true });
  assert.equal(asked.length, 3);
  assert.equal(new Set(asked.map(({ headers }) => headers["idempotency-key"])).size, 1);
  assert.equal(asked[0].url.pathname, "/topics/a%20b/c");
  assert.equal(asked[0].headers["content-type"], "application/json");
  await live.patch("t", "more");
  assert.equal(asked[3].url.searchParams.get("op"), "append");
  await live.patch("t", { a: null });
  assert.equal(asked[4].headers["content-type"], "application/merge-patch+json");
  await live.patch("t", [{ op: "remove", path: "/a" }]);
  assert.equal(asked[5].headers["content-type"], "application/json-patch+json");
  await live.put("t", new Uint8Array([1, 2]));
  assert.equal(asked[6].headers["content-type"], "application/octet-stream");
});

test("a refused publish is not tried again", async (t) => {
  const { asked, base } = await serving(t, (response) => json(response, { title: "Conflict", detail: "a stream" }, 409));
  const { live } = following(t, base + "/topics");
  await assert.rejects(live.put("t", 1), { status: 409, title: "Conflict", detail: "a stream" });
  assert.equal(asked.length, 1);
});

test("a topic that has ended ends the loop", async (t) => {
  const { base } = await serving(t, (response, { query }) => {
    if (query.since == "e-1") return response.writeHead(204).end();
    stream(response);
    response.end(event(1, { end: true }));
  });
  const { live } = following(t, base + "/topics/t", { ways: ["sse"] });
  const seen = [];
  for await (const { data } of live) seen.push(data);
  assert.deepEqual(seen, [1]);
  assert.equal(live.state, "ended");
});

test("a URL that is no topic's is refused", () => {
  assert.throws(() => new Hexcast("http://x/other"), TypeError);
});
