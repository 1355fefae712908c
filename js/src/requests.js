/** Requests to the server: where they go, with whose token, and what a refusal says. */

import { BAD, parse } from "./values.js";

const TOKEN_WAIT = 6e4; // ms in which getToken has to answer

/** What went wrong, as a problem document (RFC 9457) says it; `status` 0 where no answer came. */
export class HexcastError extends Error {
  status = 0;
  fatal = false;
  constructor(title, more) {
    super(title, more);
    Object.assign(this, { title }, more);
  }
}

/** The URL of all topics with a query, or of one topic. Members without a value are left out. */
export function address({ _base }, query = {}, topics = [], one = "") {
  // What is no topic is for the server to refuse: as a path, `..` would lead to another topic.
  const url = new URL(_base + (one && "/" + encodeURIComponent(one).replaceAll(BAD.test(one) ? "/" : "%2F", "/")));
  for (const key in query) if (query[key]) url.searchParams.append(key, query[key]);
  for (const topic of topics) url.searchParams.append("topic", topic);
  return url;
}

/** The token, asked for when there is none or the last one was refused. */
export const bearer = async (client) => client._token ??= client._options.getToken && await Promise.race([
  client._options.getToken(),
  new Promise((_, reject) => AbortSignal.timeout(TOKEN_WAIT).onabort = reject),
]);

/** Raises HexcastError for any answer but a good one, and what `fetch` raises. */
export async function request(client, url, init) {
  const token = await bearer(client), { credentials } = client._options;
  const response = await fetch(url, {
    cache: "no-store", credentials, ...init,
    headers: { ...init.headers, ...token && { authorization: "Bearer " + token } },
  });
  const { status, headers } = response;
  if (response.ok) return response;
  if (status == 401) client._token = undefined;
  const { title = "refused", detail } = await response.json().catch(() => ({})), after = headers.get("retry-after");
  throw new HexcastError(title, {
    status, detail, retry: after && (after * 1e3 || Date.parse(after) - Date.now() || 0),
  });
}

/** An answer that comes whole, within `ms`. */
export async function whole(client, url, link, ms = client._options.patience) {
  const signal = AbortSignal.any([link._signal, AbortSignal.timeout(ms)]);
  return parse(await (await request(client, url, { signal })).text(), client._options.exact);
}
