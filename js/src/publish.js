/** Publishing: what is sent for a value of JavaScript, and tries that cannot publish twice. */

import { address, HexcastError, request } from "./requests.js";

const UNSURE = /^(0|429|50[234])$/; // it was not done, or nobody knows

/** A value's body and content type. */
function content(data, patch) {
  if (typeof data == "string") return [data, "text/plain; charset=utf-8"];
  if (data instanceof Blob || data?.byteLength != null) return [data, data.type || "application/octet-stream"];
  const kind = !patch ? "json" : Array.isArray(data) ? "json-patch+json" : "merge-patch+json";
  return [JSON.stringify(data), "application/" + kind];
}

export async function publish(client, method, topic, data, { event, end, type, headers, timeout = 15e3 } = {}) {
  const patch = method == "PATCH", [body, natural] = content(data, patch), until = Date.now() + timeout;
  const url = address(client, { op: patch && body == data ? "append" : "", event, end: end && 1 }, [], topic);
  headers = { "idempotency-key": crypto.getRandomValues(new Uint32Array(4)).join(""), ...headers };
  if (type ??= natural) headers["content-type"] = type;
  for (let fails = 0; ; fails++) {
    let error;
    try {
      const signal = AbortSignal.timeout(Math.max(0, until - Date.now()));
      return await (await request(client, url, { method, headers, body, signal })).json();
    } catch (cause) {
      error = cause.title ? cause : new HexcastError("the connection failed", { cause });
    }
    const wait = (error.retry || 0) + Math.random() * 500 * 2 ** fails;
    if (!(UNSURE.test(error.status) || error.status == 401 && client._options.getToken) || Date.now() + wait > until) throw error;
    await new Promise((go) => setTimeout(go, wait));
  }
}
