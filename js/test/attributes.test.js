import assert from "node:assert/strict";
import { test } from "node:test";

import { foreign, settable } from "../src/attributes.js";

test("attributes that values may set, and those they may not", () => {
  for (const [tag, name] of [["a", "href"], ["img", "src"], ["p", "title"], ["meter", "value"], ["p", "aria-label"],
    ["body", "class"], ["p", "data-x"]]) assert.ok(settable(tag, name), `${tag} ${name}`);
  for (const [tag, name] of [["a", "onclick"], ["a", "ONCLICK"], ["p", "style"], ["iframe", "srcdoc"], ["iframe", "src"],
    ["script", "src"], ["p", "data-topic"], ["p", "a b"], ["p", "1a"], ["animate", "values"], ["base", "href"], ["svg", "xmlns"]])
    assert.ok(!settable(tag, name), `${tag} ${name}`);
  for (const tag of ["body", "script", "style", "template", "iframe", "noscript"]) assert.ok(!settable(tag), tag);
  for (const tag of ["p", "td", "pre", "output", "live-value"]) assert.ok(settable(tag), tag);
});

test("addresses that lead nowhere good", () => {
  for (const [name, value] of [["href", "/x"], ["href", "x?y:z"], ["href", "https://a/"], ["href", "mailto:a@b"], ["src", "data:image/png;base64,xx"],
    ["title", "javascript: a talk"], ["srcset", "a.png 1x, https://b/c.png 2x"], ["href", ""]]) assert.ok(!foreign(name, value), value);
  for (const [name, value] of [["href", "javascript:1"], ["href", "\0 JavaScript:1"], ["href", "java\nscr\tipt:1"], ["action", "vbscript:1"],
    ["xlink:href", "javascript:1"], ["src", "data:text/html,x"], ["src", "data:image/svg+xml,x"], ["srcset", "a.png, javascript:1 2x"], ["formaction", "blob:x"]])
    assert.ok(foreign(name, value), value);
});
