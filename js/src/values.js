/**
 * Values: read, shown, taken apart and changed. Pure.
 *
 * Read as `exact`, a number that JavaScript would write differently (1.10) keeps its own text, where
 * the browser can tell it.
 */

const raw = (value) => JSON.isRawJSON?.(value);
const object = (value) => value && typeof value == "object" && !Array.isArray(value) && !raw(value);

const own = (_, value, context) =>
  typeof value == "number" && JSON.rawJSON && context.source != value + ""
    ? JSON.rawJSON(context.source) : value;

/** What is in no topic's name. */
export const BAD = /(^|\/)\.{0,2}(\/|$)|[*\p{Cc}\p{Cs}]/u;

export const parse = (json, exact) => JSON.parse(json, exact ? own : undefined);

/** What an element shows: a string as it is, null as nothing, an object or array as compact JSON. */
export const text = (value) => value == null ? "" : raw(value) ? value.rawJSON
  : typeof value == "object" ? JSON.stringify(value) : value + "";

/** A member by its name, or by a JSON Pointer (RFC 6901); undefined where there is none. */
export function pick(value, part) {
  const pointer = part?.[0] == "/", path = pointer
    ? part.slice(1).split("/").map((key) => key.replace(/~1/g, "/").replace(/~0/g, "~"))
    : part ? [part] : [];
  for (const key of path) {
    const place = pointer && Array.isArray(value) && /^(0|[1-9]\d*)$/.test(key);
    if (!(place || object(value)) || !Object.hasOwn(value, key)) return;
    value = value[key];
  }
  return value;
}

/** A merge patch (RFC 7396), applied to a copy. `__proto__` is a member like any other. */
export function merge(value, patch) {
  if (!object(patch)) return patch;
  const members = new Map(Object.entries(object(value) ? value : {}));
  for (const [key, change] of Object.entries(patch))
    if (change === null) members.delete(key);
    else members.set(key, merge(members.get(key), change));
  return Object.fromEntries(members);
}

/** Whether an id comes after another. One of another epoch does. */
export function newer(id, than) {
  const [epoch, seq] = id.split("-"), [before, last] = than.split("-");
  return epoch != before || +seq > +last;
}
