import assert from "node:assert/strict";
import { test } from "node:test";

import { merge, newer, parse, pick, text } from "../src/values.js";

const EXACT = typeof JSON.rawJSON == "function"; // older engines do not tell a number's text

test("the text of values", () => {
  const cases = [["a", "a"], ["", ""], [true, "true"], [false, "false"], [null, ""], [undefined, ""],
    [0, "0"], [-1.5, "-1.5"], [[], "[]"], [{ a: [1, "b"] }, '{"a":[1,"b"]}']];
  for (const [value, wanted] of cases) assert.equal(text(value), wanted);
});

test("numbers keep their own text", { skip: !EXACT && "this engine has no JSON.rawJSON" }, () => {
  for (const number of ["1.10", "-0", "1e2", "12345678901234567890", "0.1", "7"]) {
    assert.equal(text(parse(number, true)), number);
    assert.equal(text(parse(`{"a":[${number}]}`, true)), `{"a":[${number}]}`);
    assert.equal(text(merge(parse('{"b":1}', true), parse(`{"a":${number}}`, true))), `{"b":1,"a":${number}}`);
    assert.equal(pick(parse(`[${number}]`, true), "/0/rawJSON"), undefined);
  }
});

test("parts, by name and by pointer (the table of RFC 6901, 5)", () => {
  const document = {
    foo: ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, 'k"l': 6, " ": 7, "m~n": 8,
  };
  const table = [["", document], ["/foo", document.foo], ["/foo/0", "bar"], ["/", 0], ["/a~1b", 1], ["/c%d", 2],
    ["/e^f", 3], ["/g|h", 4], ["/i\\j", 5], ['/k"l', 6], ["/ ", 7], ["/m~0n", 8]];
  for (const [pointer, wanted] of table) assert.deepEqual(pick(document, pointer), wanted, pointer);
  assert.equal(pick(document, "a/b"), 1);
  assert.equal(pick(document, null), document);
  for (const nowhere of ["/foo/2", "/foo/00", "/foo/-", "/foo/length", "/x", "x", "toString", "/foo/0/0", "__proto__"])
    assert.equal(pick(document, nowhere), undefined, nowhere);
  assert.equal(pick("text", "length"), undefined);
  assert.equal(pick([1], "0"), undefined); // a name is of an object's member
});

test("merge patches (the table of RFC 7396, A)", () => {
  const table = [
    ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'], ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
    ['{"a":"b"}', '{"a":null}', "{}"], ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
    ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'], ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
    ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
    ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'], ['["a","b"]', '["c","d"]', '["c","d"]'],
    ['{"a":"b"}', '["c"]', '["c"]'], ['{"a":"foo"}', "null", "null"], ['{"a":"foo"}', '"bar"', '"bar"'],
    ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'], ["[1,2]", '{"a":"b","c":null}', '{"a":"b"}'],
    ["{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
  ];
  for (const [value, patch, wanted] of table) {
    const before = JSON.parse(value), frozen = JSON.stringify(before);
    assert.equal(JSON.stringify(merge(before, JSON.parse(patch))), wanted);
    assert.equal(JSON.stringify(before), frozen, "the value itself was changed");
  }
});

test("__proto__ is a member like any other", () => {
  const merged = merge({ a: 1 }, JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'));
  assert.equal({}.polluted, undefined);
  assert.equal(merged.polluted, undefined);
  assert.equal(JSON.stringify(merged), '{"a":1,"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}');
});

test("the order of ids", () => {
  for (const [id, than, wanted] of [["a-2", "a-1", true], ["a-10", "a-9", true], ["a-9", "a-10", false],
    ["a-1", "a-1", false], ["b-1", "a-7", true], ["a-1", "now", true], ["a-1", "earliest", true]])
    assert.equal(newer(id, than), wanted, `${id} ${than}`);
});
