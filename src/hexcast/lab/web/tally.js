// What was published, and what became of it on each way. Pure: no page, no clock, no network.
// Times are milliseconds of the server's clock.

const KEPT = 20000; // publications, and arrivals of each way, that are remembered

/** Everything that was published, in order. A publication may have several ids: one a form. */
export class Ledger {
  constructor() {
    this.first = 0; // number of the oldest publication that is remembered
    this.entries = []; // {at, value, ids}
    this.places = new Map(); // id -> number
  }

  get end() { return this.first + this.entries.length; }

  /** Note a publication; one that is known already changes nothing. */
  add(at, value, ids) {
    if (this.places.has(ids[0])) return;
    for (const id of ids) this.places.set(id, this.end);
    this.entries.push({ at, value, ids });
    if (this.entries.length > KEPT * 1.25) {
      for (const gone of this.entries.splice(0, this.entries.length - KEPT)) {
        for (const id of gone.ids) this.places.delete(id);
        this.first += 1;
      }
    }
  }

  place(id) { return this.places.get(id); }
  entry(k) { return this.entries[k - this.first]; }

  /** The number of the first publication after `at`; `end` where there is none. */
  after(at) {
    let low = 0, high = this.entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.entries[middle].at > at) high = middle; else low = middle + 1;
    }
    return this.first + low;
  }
}

const LATE_MS = 250; // what is younger may be on its way

/** What one way has brought of a ledger. `every` is false where only the newest counts. */
export class Tally {
  constructor(ledger, every) {
    this.ledger = ledger;
    this.every = every;
    this.clear();
  }

  /** Forget everything, and count from the next arrival on. */
  clear() {
    this.counts = { replayed: 0, folded: 0, lost: 0, twice: 0, gaps: 0, wrong: 0, reconnects: 0 };
    this.ages = []; // of each publication, how long it took to the screen
    this.steps = []; // {t, k}: from t on, k is on the screen
    this.begin();
  }

  /** Count from the next arrival on: what was before is nobody's loss. */
  begin() {
    this.shown = -1;
    this.got = new Set();
    this.waiting = []; // arrivals that the ledger does not know of yet
    this.began = undefined; // when it was first asked for an age
    this.opened = 0; // when the connection in use was asked for, if it is not the first
  }

  /** A connection is made again. */
  reopened(t) {
    this.counts.reconnects += 1;
    this.opened = t;
  }

  /** A record is on the screen. With `glimpse` it may be one that was there before. */
  arrive(id, t, { glimpse = false } = {}) {
    this.waiting.push({ id, t, glimpse, opened: this.opened });
    if (this.waiting.length > KEPT) this.waiting.shift();
    this.settle();
  }

  /** Take in what the ledger knows by now. */
  settle() {
    const waiting = this.waiting;
    let done = 0;
    for (; done < waiting.length; done += 1) {
      const k = this.ledger.place(waiting[done].id);
      if (k === undefined) {
        // Ids that are no publication (a cursor that moved) never become known.
        if (waiting[done].t > waiting[waiting.length - 1].t - 3000) break;
        continue;
      }
      this.take(k, waiting[done]);
    }
    if (done) waiting.splice(0, done);
  }

  take(k, { t, glimpse, opened }) {
    const counts = this.counts;
    if (this.got.has(k)) {
      if (!glimpse) counts.twice += 1;
      return;
    }
    this.got.add(k);
    if (this.got.size > KEPT) for (const old of this.got) { this.got.delete(old); break; }
    if (this.shown < 0) {
      this.shown = k;
      this.step(t, k);
      return;
    }
    if (k < this.shown) {
      if (this.every) counts.lost -= 1; // it came after all
      return;
    }
    const between = k - this.shown - 1;
    if (this.every) counts.lost += between; else counts.folded += between;
    if (opened && this.ledger.entry(k).at < opened) counts.replayed += 1;
    // Those that were never shown were missed until this one was.
    const from = Math.max(this.shown + 1, this.ledger.first);
    for (let j = from; j <= k; j += 1) this.ages.push(Math.max(0, t - this.ledger.entry(j).at));
    if (this.ages.length > KEPT) this.ages.splice(0, this.ages.length - KEPT);
    this.shown = k;
    this.step(t, k);
  }

  step(t, k) {
    this.steps.push({ t, k });
    if (this.steps.length > KEPT * 1.25) this.steps.splice(0, this.steps.length - KEPT);
  }

  /** How long the screen has not shown the newest, at a time; null while there is nothing on it. */
  ageAt(t) {
    const steps = this.steps;
    let low = 0, high = steps.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (steps[middle].t > t) high = middle; else low = middle + 1;
    }
    if (!low) return null;
    const next = this.ledger.entry(Math.max(steps[low - 1].k + 1, this.ledger.first));
    return next && next.at <= t ? t - next.at : 0;
  }

  /** Publications that should have been on the screen by now and are not. */
  missing(now, patience) {
    if (this.shown < 0) return 0;
    const due = this.ledger.after(now - patience) - 1;
    return Math.max(0, due - this.shown);
  }

  /**
   * The age below which a part of the publications was on the screen; null without any. With `now`
   * those count too, with the age they have by now, that should be there and are not.
   */
  age(part, now) {
    if (now === undefined) return quantile(this.ages, part);
    this.began ??= now;
    const { ledger } = this, late = [];
    const from = this.shown < 0 ? ledger.after(this.began) : Math.max(this.shown + 1, ledger.first);
    const due = ledger.after(now - LATE_MS);
    for (let k = from; k < due; k += 1) late.push(now - ledger.entry(k).at);
    return quantile(late.length ? this.ages.concat(late) : this.ages, part);
  }
}

/** The value below which a part of `numbers` is; null without any. */
export function quantile(numbers, part) {
  if (!numbers.length) return null;
  const sorted = Float64Array.from(numbers).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];
}

/** Counters of the server that begin anew when it does, as ones that go on. */
export class Carried {
  constructor() { this.base = {}; this.last = {}; }

  /** Take in the counters as they stand; gives their sums over all lives of the server. */
  take(now) {
    if (now.requests < (this.last.requests ?? 0)) {
      for (const name of SUMS) this.base[name] = (this.base[name] ?? 0) + (this.last[name] ?? 0);
    }
    this.last = now;
    return Object.fromEntries(SUMS.map((name) => [name, (this.base[name] ?? 0) + now[name]]));
  }
}

const SUMS = ["requests", "vain", "in", "out", "cpu"];

/** The server's clock against ours, from round trips: the shortest of the newest says it best. */
export class Clock {
  constructor() { this.trips = []; }

  /** A message left at `sent`, was stamped `stamp` by the server, and came back at `back`. */
  take(sent, stamp, back) {
    this.trips.push({ trip: back - sent, offset: stamp - (sent + back) / 2 });
    if (this.trips.length > 20) this.trips.shift();
  }

  get best() {
    return this.trips.reduce((a, b) => (b.trip < a.trip ? b : a), { trip: Infinity, offset: 0 });
  }

  get offset() { return this.best.offset; }

  /** Milliseconds by which the offset may be wrong; stamps are whole milliseconds. */
  get doubt() { return this.best.trip / 2 + 0.5; }
}

/** A JSON merge patch (RFC 7396) of members that are no objects themselves. */
export function merged(value, patch) {
  const result = { ...value };
  for (const [name, member] of Object.entries(patch)) {
    if (member === null) delete result[name]; else result[name] = member;
  }
  return result;
}

/** Whether a value is what was published: its members' numbers add up to its `sum`. */
export function addsUp(value) {
  let sum = 0;
  for (const name in value) if (name[0] === "m") sum += Number(value[name].slice(0, 4));
  return sum === value.sum;
}
