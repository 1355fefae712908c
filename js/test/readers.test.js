import assert from "node:assert/strict";
import { test } from "node:test";

import { Readers } from "../src/readers.js";

test("states fold to their newest place, streams do not", async () => {
  const readers = new Readers(), reader = readers._read(() => true);
  for (const [key, item] of [[" s", 1], ["a-2", 2], [" s", 3], ["a-4", 4]]) readers._push(key, item);
  const items = [];
  for await (const item of reader) items.push(item);
  assert.deepEqual(items, [2, 3, 4]);
});

test("a reader that does not read is full; what folds still finds room", async () => {
  const readers = new Readers(), reader = readers._read(() => false);
  assert.equal(readers._full(2), false);
  readers._push(" s", 1);
  readers._push("a-2", 2);
  assert.equal(readers._full(2), true);
  assert.equal(readers._full(2, " s"), false);
  const room = readers._next();
  assert.equal((await reader.next()).value, 1);
  await room;
  assert.equal(readers._full(2), false);
  await reader.return();
  readers._push("a-3", 3);
  assert.equal(readers._full(1), false, "who has left holds up nobody");
});
