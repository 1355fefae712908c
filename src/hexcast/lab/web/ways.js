// The five ways that a browser has, each as a client of its own that keeps its cursor.
//
// `Receiver.start()` begins, `stop()` ends for good. What happens is told to `to`: `opened(again)`,
// `lost()`, `record(id, value, glimpse)` with the value as an object where it is JSON, `gap()`.
// `ask` says what to receive: {url(params), every, delta, stream}; it is read at each start.

import { merged } from "./tally.js";

const AGAIN_MS = 1000;
const ANSWER_MS = 40000; // longer than any poll is held

function parsed(text) {
  if (text[0] !== "{") return text;
  try { return JSON.parse(text); } catch { return text; }
}

class Receiver {
  constructor(ask, to) {
    this.ask = ask;
    this.to = to;
    this.running = false;
    this.cursor = "";
    this.value = null;
    this.failed = false; // since the last time something came through
  }

  start() {
    this.running = true;
    this.cursor = "";
    this.value = null;
    this.failed = false;
    this.open();
  }

  stop() {
    this.running = false;
    clearTimeout(this.timer);
    this.close();
  }

  came() {
    this.to.opened(this.failed);
    this.failed = false;
  }

  broke() {
    this.failed = true;
    this.to.lost();
  }

  later(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { if (this.running) this.open(); }, ms);
  }

  take(id, value) {
    this.cursor = id;
    this.value = value;
    this.to.record(id, value, false);
  }

  /** A record in json format. */
  takeRecord(record) {
    if (record.op === "delete") { this.cursor = record.id; return; }
    const patch = record.op === "patch";
    this.take(record.id, patch ? merged(this.value ?? {}, record.data) : record.data);
  }
}

/** A real page in a frame, which its browser asks for again as the `Refresh` header says. */
export class Refresh extends Receiver {
  constructor(ask, to, frame) {
    super(ask, to);
    this.frame = frame;
    frame.addEventListener("load", () => { if (this.running) this.loaded(); });
  }

  open() { this.frame.src = this.ask.url({ way: "refresh", every: this.ask.every }); }
  close() { this.frame.src = "about:blank"; }

  loaded() {
    // The page of an error shows no document, and has no header that loads it again.
    const page = this.frame.contentDocument;
    const main = page?.querySelector("main");
    if (!main) {
      if (page?.URL === "about:blank") return;
      this.broke();
      this.later(2 * AGAIN_MS);
      return;
    }
    clearTimeout(this.timer);
    this.came();
    const shown = main.querySelector("pre[data-id]");
    if (shown?.dataset.id) {
      this.to.record(shown.dataset.id, parsed(shown.textContent), true);
    }
  }
}

/** Asking again and again; where `wait` is not 0 each answer is held until there is something. */
export class Poll extends Receiver {
  wait = 0;

  open() {
    this.tag = "";
    if (this.ask.stream) this.cursor ||= "now";
    this.next();
  }

  close() { this.abort?.abort(); }

  async next() {
    const abort = this.abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), ANSWER_MS);
    const batch = this.cursor && (this.ask.stream || this.ask.delta);
    const params = { way: this.wait ? "long-poll" : "poll" };
    if (this.wait) params.wait = this.wait;
    if (batch) Object.assign(params, { since: this.cursor, limit: 1000 });
    if (batch && this.ask.delta) params.delta = 1;
    const headers = !batch && this.tag ? { "If-None-Match": this.tag } : {};
    let more = false;
    try {
      const answer = await fetch(this.ask.url(params), {
        headers, cache: "no-store", signal: abort.signal,
      });
      if (answer.ok && batch) more = this.takeBatch(await answer.json());
      else if (answer.ok) {
        this.tag = answer.headers.get("ETag");
        const value = parsed(await answer.text());
        this.came();
        this.take(this.tag.replace(/^(W\/)?"|(~\w+)?"$/g, ""), value);
      } else if (answer.status === 304 || answer.status === 404) this.came();
      else throw new Error(`${answer.status}`);
    } catch (error) {
      clearTimeout(timer);
      if (!this.running || this.abort !== abort) return;
      this.broke();
      this.timer = setTimeout(() => { if (this.running) this.next(); }, AGAIN_MS);
      return;
    }
    clearTimeout(timer);
    if (!this.running || this.abort !== abort) return;
    const pause = more || (this.wait && this.cursor) ? 0 : this.wait ? 250 : this.ask.every * 1000;
    this.timer = setTimeout(() => { if (this.running) this.next(); }, pause);
  }

  takeBatch(batch) {
    this.came();
    if (batch.gap) this.to.gap(batch.gap);
    for (const record of batch.records) this.takeRecord(record);
    this.cursor = batch.cursor;
    return batch.more;
  }
}

export class LongPoll extends Poll {
  wait = 25;
}

/** EventSource, which comes back by itself. */
export class Sse extends Receiver {
  open() {
    const params = { way: "sse" };
    if (this.cursor) params.since = this.cursor;
    if (this.ask.delta) params.delta = 1;
    const source = this.source = new EventSource(this.ask.url(params));
    source.onopen = () => this.came();
    source.onerror = () => {
      this.broke();
      if (source.readyState === EventSource.CLOSED) this.later(AGAIN_MS);
    };
    source.onmessage = (event) => this.take(event.lastEventId, parsed(event.data));
    source.addEventListener("hexcast:patch", (event) => {
      this.take(event.lastEventId, merged(this.value ?? {}, JSON.parse(event.data)));
    });
    source.addEventListener("hexcast:record", (event) => this.takeRecord(JSON.parse(event.data)));
    source.addEventListener("hexcast:gap", (event) => this.to.gap(JSON.parse(event.data)));
    source.addEventListener("hexcast:cursor", (event) => { this.cursor = event.lastEventId; });
  }

  close() { this.source?.close(); }
}

/** A WebSocket that speaks `hexcast.v1`, subscribed by its URL. */
export class Socket extends Receiver {
  open() {
    const params = { way: "websocket" };
    if (this.cursor) params.since = this.cursor;
    if (this.ask.delta) params.delta = 1;
    const url = new URL(this.ask.url(params));
    url.protocol = url.protocol.replace("http", "ws");
    const socket = this.socket = new WebSocket(url, ["hexcast.v1"]);
    socket.onopen = () => this.came();
    socket.onmessage = (event) => {
      const said = JSON.parse(event.data);
      if (said.id) this.takeRecord(said);
      else if (said.cursor) this.cursor = said.cursor;
      else if (said.gap) this.to.gap(said.gap);
    };
    socket.onclose = () => {
      if (!this.running || this.socket !== socket) return;
      this.broke();
      this.later(AGAIN_MS);
    };
  }

  close() {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }
}
