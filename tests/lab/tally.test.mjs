import assert from "node:assert/strict";
import test from "node:test";
import { Carried, Clock, Ledger, Tally, addsUp, merged, quantile } from "../../src/hexcast/lab/web/tally.js";

function ledger(times) {
  const published = new Ledger();
  times.forEach((at, i) => published.add(at, i, [`e-${i}`]));
  return published;
}

test("a state that polls folds, ages from the first change it does not show, and loses nothing", () => {
  const published = ledger([0, 100, 200, 300]);
  const tally = new Tally(published, false);
  tally.arrive("e-0", 5);
  tally.arrive("e-3", 350);
  assert.deepEqual([tally.counts.folded, tally.counts.lost], [2, 0]);
  assert.deepEqual(tally.ages, [250, 150, 50]);
  assert.equal(tally.ageAt(4), null);
  assert.equal(tally.ageAt(50), 0);
  assert.equal(tally.ageAt(340), 240);
  assert.equal(tally.ageAt(351), 0);
});

test("of a stream every record counts: missing, late, twice and replayed ones", () => {
  const published = ledger([0, 100, 200, 300, 400, 500]);
  const tally = new Tally(published, true);
  tally.arrive("e-0", 5);
  tally.arrive("e-2", 205);
  assert.equal(tally.counts.lost, 1);
  tally.arrive("e-1", 206);
  assert.equal(tally.counts.lost, 0, "it came after all");
  tally.arrive("e-2", 207);
  assert.equal(tally.counts.twice, 1);
  tally.reopened(450);
  tally.arrive("e-3", 451);
  tally.arrive("e-4", 451);
  tally.arrive("e-5", 505);
  assert.deepEqual([tally.counts.replayed, tally.counts.lost, tally.counts.reconnects], [2, 0, 1]);
});

test("a glimpse of what is shown already is not twice", () => {
  const tally = new Tally(ledger([0]), false);
  tally.arrive("e-0", 5, { glimpse: true });
  tally.arrive("e-0", 9, { glimpse: true });
  assert.equal(tally.counts.twice, 0);
});

test("arrivals wait for the ledger; ids that are no publication are left out", () => {
  const published = new Ledger();
  const tally = new Tally(published, false);
  tally.arrive("cursor", 1);
  tally.arrive("e-0", 5);
  tally.arrive("e-1", 105);
  assert.equal(tally.shown, -1);
  published.add(0, 0, ["e-0", "page-0"]);
  published.add(100, 0, ["e-1", "page-1"]);
  tally.arrive("e-2", 5000);
  assert.equal(tally.shown, 1);
  assert.deepEqual(tally.ages, [5]);
  published.add(100, 0, ["e-1", "page-1"]);
  assert.equal(published.end, 2, "told twice, published once");
});

test("who is stuck misses what is due", () => {
  const tally = new Tally(ledger([0, 100, 200, 9000]), false);
  tally.arrive("e-0", 5);
  assert.equal(tally.missing(10000, 5000), 2);
  assert.equal(tally.missing(250, 5000), 0);
});

test("memory is bounded, and what was forgotten is counted on", () => {
  const published = new Ledger();
  const tally = new Tally(published, true);
  for (let i = 0; i < 60000; i += 1) {
    published.add(i, i, [`e-${i}`]);
    tally.arrive(`e-${i}`, i + 1);
  }
  assert.equal(published.end, 60000);
  assert.ok(published.entries.length <= 25000 && published.places.size === published.entries.length);
  assert.ok(tally.got.size <= 20000 && tally.steps.length <= 25000 && tally.ages.length <= 20000);
  assert.deepEqual([tally.counts.lost, tally.counts.twice], [0, 0]);
  assert.equal(tally.age(0.5), 1);
});

test("the clock believes the shortest round trip", () => {
  const clock = new Clock();
  assert.equal(clock.doubt, Infinity);
  clock.take(1000, 6060, 1100);
  clock.take(2000, 7002, 2004);
  clock.take(3000, 8100, 3500);
  assert.equal(clock.offset, 5000);
  assert.equal(clock.doubt, 2.5);
});

test("counters that began anew go on", () => {
  const carried = new Carried();
  const told = (n) => ({ requests: n, vain: 0, in: n, out: n, cpu: n });
  carried.take(told(5));
  assert.equal(carried.take(told(7)).out, 7);
  assert.equal(carried.take(told(2)).out, 9);
  assert.equal(carried.take(told(3)).requests, 10);
});

test("values put together from changes add up, or do not", () => {
  const value = { n: 1, sum: 30, m000: "0010ab", m001: "0020cd" };
  assert.ok(addsUp(value));
  assert.ok(addsUp(merged(value, { sum: 25, m001: "0015cd" })));
  assert.ok(!addsUp(merged(value, { m001: "0015cd" })));
  assert.deepEqual(merged({ a: 1, b: 2 }, { a: null }), { b: 2 });
});

test("quantiles", () => {
  assert.equal(quantile([], 0.5), null);
  assert.equal(quantile([3, 1, 2], 0.5), 2);
  assert.equal(quantile([...Array(100).keys()], 0.99), 99);
});

test("of a page that skips records of a stream, those it skipped are as old as the next it shows", () => {
  const published = ledger([0, 500, 1000, 1500]);
  const tally = new Tally(published, true);
  tally.arrive("e-0", 10);
  tally.arrive("e-3", 2000);
  assert.deepEqual(tally.ages, [1500, 1000, 500]);
});

test("what does not come grows old", () => {
  const published = ledger([0, 100]);
  const tally = new Tally(published, false);
  assert.equal(tally.age(0.5, 200), null, "it was not there before");
  published.add(300, 2, ["e-2"]);
  assert.equal(tally.age(0.5, 400), null, "it may be on its way");
  assert.equal(tally.age(0.5, 5300), 5000);
  tally.arrive("e-2", 5400);
  published.add(5500, 3, ["e-3"]);
  assert.equal(tally.age(0.99, 6500), 1000);
});
