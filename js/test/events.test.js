import assert from "node:assert/strict";
import { test } from "node:test";

import { events } from "../src/events.js";

const STREAM = "retry: 1000\n\nid: a-1\nevent: hexcast:cursor\ndata: a-1\n\n:\n\n"
  + 'id: a-2\ndata: {"t":"ü€😀: x"}\r\n\r\nevent: hexcast:gap\ndata:{"after":""}\n\ndata: unfinished\n';
const WANTED = [
  { retry: 1000 }, { id: "a-1", event: "hexcast:cursor", data: "a-1" },
  { id: "a-2", data: '{"t":"ü€😀: x"}' }, { event: "hexcast:gap", data: '{"after":""}' },
];

test("however the stream is cut, the events are the same", () => {
  for (let size = 1; size <= STREAM.length; size++) {
    const read = events(), found = [];
    for (let at = 0; at < STREAM.length; at += size) found.push(...read(STREAM.slice(at, at + size)));
    assert.deepEqual(found, WANTED, `in pieces of ${size}`);
  }
});

test("what is too large is not gathered", () => {
  const read = events(100);
  assert.throws(() => {
    for (let n = 0; n < 11; n++) read("data: 1234");
  }, { name: "Error", title: "too large" });
});
