// One panel: a way's receiver, its tally, its server-side counters, and how they are shown.

import { AgePlot } from "./plot.js";
import { Carried, Tally, addsUp } from "./tally.js";
import { LongPoll, Poll, Refresh, Socket, Sse } from "./ways.js";
import { bytes, count, ms } from "./words.js";

const RECEIVERS = { refresh: Refresh, poll: Poll, "long-poll": LongPoll, sse: Sse, websocket: Socket };
const SETTLE_MS = 1200; // after a change of settings, until the first whole values have come
const MINUTE_MS = 60000;
const PATIENCE_MS = 5000;

export class Panel {
  /** `lab` has {session, ledger, ask(way)}. */
  constructor(words, lab, template, place) {
    this.words = words;
    this.way = words.way;
    this.lab = lab;
    const root = this.root = template.content.firstElementChild.cloneNode(true);
    root.dataset.way = this.way;
    this.parts = Object.fromEntries(
      [...root.querySelectorAll("[data-is]")].map((part) => [part.dataset.is, part]),
    );
    this.parts.name.textContent = words.name;
    this.parts.name.id = `name-${this.way}`;
    root.setAttribute("aria-labelledby", this.parts.name.id);
    this.parts.mark.setAttribute("d", words.mark);
    if (this.way === "refresh") this.parts.frame.hidden = false; else this.parts.frame.remove();
    this.parts.note.hidden = this.way !== "push";
    place.append(root);
    this.plot = new AgePlot(this.parts.plot);
    this.tally = new Tally(lab.ledger, false);
    this.carried = new Carried();
    this.totals = null;
    this.samples = [];
    this.memory = 0;
    this.segments = {}; // by what is sent: bytes, requests, cpu and publications of it
    this.proxied = null;
    this.state = "";
    this.say("waiting");
    this.receiver = null;
  }

  /** Begin to receive, as the settings are now. */
  start() {
    this.stop();
    this.tally.every = this.lab.ask(this.way).stream;
    this.tally.begin();
    this.baseline = null;
    this.startAt = this.lab.session.now();
    const Kind = RECEIVERS[this.way];
    if (!Kind) return; // push: the server receives it
    this.say("connecting");
    this.receiver = new Kind(this.lab.ask(this.way), {
      opened: (again) => {
        if (again) this.tally.reopened(this.lab.session.now());
        this.say("live");
      },
      lost: () => this.say("lost"),
      record: (id, value, glimpse) => this.record(id, value, glimpse, this.lab.session.now()),
      gap: () => { this.tally.counts.gaps += 1; },
    }, this.parts.frame.firstElementChild);
    this.receiver.start();
  }

  stop() {
    this.receiver?.stop();
    this.receiver = null;
  }

  pause() {
    this.stop();
    this.say("paused");
  }

  record(id, value, glimpse, t) {
    this.newest = id;
    if (value && typeof value === "object" && "sum" in value && "m000" in value) {
      const { stream, sends } = this.lab.ask(this.way);
      if (!(stream && sends === "change") && !addsUp(value)) this.tally.counts.wrong += 1;
    }
    this.tally.arrive(id, t, { glimpse });
  }

  /** What the server's own client of push has got: what (`record`, `gap`, `again`), when, id. */
  pushed(arrivals) {
    for (const [what, t, id] of arrivals) {
      if (what === "again") this.tally.reopened(t);
      else if (what === "gap") this.tally.counts.gaps += 1;
      else this.record(id, null, false, t);
      this.say("live");
    }
  }

  /** The server's counters of this client. */
  figures(told, t) {
    this.totals = this.carried.take(told);
    this.memory = told.memory || this.memory;
    if (!told.open && (this.way === "poll" || this.way === "refresh")) this.memory = 0;
    this.harm = told.away ? "cut off" : told.slow ? "slow reader" : told.proxy ? "behind a proxy" : "";
    this.samples.push({ t, ...this.totals });
    while (this.samples[0].t < t - MINUTE_MS) this.samples.shift();
    if (!this.baseline) {
      if (t > this.startAt + SETTLE_MS && this.tally.shown >= 0) {
        this.baseline = { ...this.totals, k: this.lab.ledger.end };
      }
      return;
    }
    const segment = Object.fromEntries(
      Object.keys(this.totals).map((name) => [name, this.totals[name] - this.baseline[name]]),
    );
    segment.changes = this.lab.ledger.end - this.baseline.k;
    if (segment.changes > 0) this.segments[this.lab.ask(this.way).sends] = segment;
  }

  /** Forget what was measured. */
  clear() {
    this.tally.clear();
    this.segments = {};
    this.samples = [];
    this.baseline = null;
    this.startAt = this.lab.session.now();
    this.proxied = null;
  }

  /** What this run has measured, for the table. */
  measured() {
    const segments = Object.values(this.segments);
    const changes = segments.reduce((n, s) => n + s.changes, 0);
    const per = (name) => (changes ? segments.reduce((n, s) => n + s[name], 0) / changes : null);
    const cpu = per("cpu");
    const now = this.lab.session.now();
    return {
      p50: this.tally.age(0.5, now), p99: this.tally.age(0.99, now), requests: per("requests"),
      bytes: Object.fromEntries(
        Object.entries(this.segments).map(
          ([send, s]) => [send, s.in + s.out ? (s.in + s.out) / s.changes : null],
        ),
      ),
      cpu: cpu === null ? null : cpu * 1000, memory: this.memory, counts: { ...this.tally.counts },
      proxied: this.proxied && `${this.proxied} (tried)`,
    };
  }

  say(state) {
    if (state === this.state) return;
    this.state = state;
    this.parts.state.dataset.state = state;
    this.parts.state.textContent = state;
  }

  /** Show the figures. */
  show(now) {
    const { parts, tally, samples } = this;
    const entry = tally.shown >= 0 ? this.lab.ledger.entry(tally.shown) : null;
    text(parts.value, entry && entry.value !== null ? String(entry.value) : "–");
    text(parts.newest, this.newest ?? "–");
    text(parts.p50, ms(tally.age(0.5, now)));
    text(parts.p99, ms(tally.age(0.99, now)));
    const first = samples[0], last = samples.at(-1);
    const span = first ? last.t - first.t : 0;
    const rate = (name) => (span > 2000 ? ((last[name] - first[name]) * MINUTE_MS) / span : null);
    text(parts.requests, count(rate("requests")));
    text(parts.vain, count(rate("vain")));
    const inBytes = rate("in");
    text(parts.bytes, inBytes === null ? "–" : bytes(inBytes + rate("out")));
    const counts = tally.counts;
    text(parts.reconnects, count(counts.reconnects));
    text(parts.replayed, count(counts.replayed));
    text(parts.folded, count(counts.folded));
    const missing = this.state === "live" && !this.harm
      ? tally.missing(now, PATIENCE_MS + 3000 * this.lab.ask(this.way).every) : 0;
    this.lost = counts.lost + missing + counts.wrong;
    text(parts.lost, count(this.lost));
    text(parts.twice, count(counts.twice));
    text(parts.gaps, count(counts.gaps));
    parts.harm.hidden = !this.harm;
    text(parts.harm, this.harm ?? "");
    if (this.harm === "behind a proxy" && last) {
      const age = tally.age(0.5, now);
      this.proxied = this.state !== "live" ? "nothing came" : `age p50 ${ms(age)}`;
    }
  }
}

function text(part, words) {
  if (part.textContent !== words) part.textContent = words;
}
