/**
 * The client: a cursor into the server's log, and one link after another that moves it on.
 *
 * What a topic has had already is known by its id and left out, however it comes again.
 */

import { WAYS } from "./ways.js";
import { publish } from "./publish.js";
import { Readers } from "./readers.js";
import { AGAIN, CLIMB, END, Link } from "./link.js";
import { merge, newer } from "./values.js";
import { address, HexcastError, whole } from "./requests.js";

const HELD = 1e5; // topics whose newest record is kept
const SLOWEST_CLIMB = 6e5, SLOWEST_RETRY = 3e4, STEADY = 5e3; // ms
const world = globalThis;

export class Hexcast extends EventTarget {
  _topics = new Set();
  _fresh = new Set(); // those whose values have to be fetched, since what went before is past
  _held = new Map(); // topic: its newest record
  _readers = new Readers();
  _stop = new AbortController();
  _floor = 0; // ms to wait at least before another try, by the server's `retry:`
  _fails = 0;
  _home = 0; // the level of the last link that lived
  _way = "";
  _state = "connecting";

  constructor(url, options) {
    super();
    url = new URL(url, world.document?.baseURI);
    const [, base, name] = /^(.*?\/topics)(?:\/(.+))?$/.exec(url.pathname) ?? [];
    if (!base) throw new TypeError(url + " is no topic");
    this._options = {
      ways: ["websocket", "sse", "long-poll", "poll"], patience: 3e3, silence: 18e3, every: 5e3,
      climb: 15e3, buffer: 1e3, backoff: 500, delta: 1, topics: [],
      ...Object.fromEntries(url.searchParams), ...options,
    };
    const names = [...url.searchParams.getAll("topic"), ...this._options.topics];
    if (name) names.push(decodeURIComponent(name));
    this._base = new URL(base, url) + "";
    this._cursor = this._options.since;
    this._climb = this._options.climb;
    for (const each of names) this._topics.add(each);
    for (const type of ["online", "offline", "visibilitychange"]) // the last one bubbles
      world.addEventListener?.(type, () => {
        const link = this._link;
        if (type == "offline" || Date.now() - link?._heard > this._options.silence) link?._end();
        link?._check?.();
        this._fails = 0;
        this._hurry = true;
        this._readers._tick();
      }, this._stop); // for its signal
    this._run();
  }

  get cursor() { return this._cursor; }
  get way() { return this._way; }
  get state() { return this._state; }
  get topics() { return [...this._topics]; }
  get(topic) { return this._held.get(topic)?.data; }

  /** Follows these too, and brings the value of those of which it has none. */
  add(...names) {
    for (const name of names) {
      if (!this._held.has(name)) this._fresh.add(name);
      this._topics.add(name);
    }
    this._changed([]);
  }

  drop(...names) {
    const dropped = names.filter((name) => this._topics.delete(name));
    for (const name of dropped) {
      this._held.delete(name);
      this._fresh.delete(name);
    }
    this._changed(dropped);
  }

  _changed(dropped) {
    const link = this._link;
    if (link?._change && this._topics.size) link._change(dropped);
    else link?._end();
    this._readers._tick();
  }

  close() { this._finish("closed"); }

  post(topic, data, options) { return publish(this, "POST", topic, data, options); }
  put(topic, data, options) { return publish(this, "PUT", topic, data, options); }
  patch(topic, data, options) { return publish(this, "PATCH", topic, data, options); }

  [Symbol.asyncIterator]() {
    return this._readers._read(() => {
      if (this._fault) throw this._fault;
      return this._over;
    });
  }

  _emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
    this._root?.dispatchEvent(new CustomEvent("hexcast:" + type, { detail }));
  }

  _set(state) {
    if (state != this._state) this._emit("state", this._state = state);
  }

  _finish(state, fault) {
    if (this._over) return;
    this._over = true;
    this._fault = fault;
    this._link?._end();
    this._stop.abort();
    this._set(state);
    this._readers._tick();
  }

  async _sleep(ms, link) {
    const until = Date.now() + +ms;
    this._hurry = false;
    while (Date.now() < until && !this._hurry && !this._over && !link?._over)
      await this._readers._next(until - Date.now());
  }

  // Links: which way, when again

  async _run() {
    let level = 0;
    await null; // so that who made this can listen first
    while (!this._over) {
      if (!this._topics.size || this._readers._full(this._options.buffer)) {
        await this._readers._next();
        continue;
      }
      const link = this._link = this._open(level);
      this._set("connecting");
      const why = await link._done;
      link._end();
      if (why == END) this._finish("ended");
      else if (why == CLIMB) level = 0;
      else if (why != AGAIN && !this._over) level = await this._failed(link, why);
    }
  }

  /** After a link has ended by itself: the level to go on with, when it is time. */
  async _failed({ _level, _way, _alive }, error) {
    const { ways, getToken, backoff } = this._options, lower = _level + 1, more = lower < ways.length;
    if (error) {
      const refused = /^(4(?!08|25|29)|501)/.test(error.status), denied = error.status == 401;
      if (denied) {
        this._token = undefined;
        this._emit("expired", error);
        if (getToken && !this._renewed) return +!(this._renewed = true);
      }
      error.fatal = denied || refused && !more;
      this._emit("error", error);
      if (error.fatal) return this._finish("closed", error);
      // A WebSocket does not tell why it was refused: the next way will.
      if (more && (refused || error._down || _way == "websocket" && !_alive)) return lower;
    }
    if (Date.now() - _alive > STEADY) this._fails = 0;
    this._set("waiting");
    await this._sleep((error?.retry ?? this._floor)
      + Math.random() * Math.min(SLOWEST_RETRY, backoff * 2 ** this._fails++)); // full jitter
    return error?._down ? 0 : this._home;
  }

  _open(level) {
    const way = this._options.ways[level], link = new Link(level, way);
    link._done = WAYS[way](this, link).catch((error) => error instanceof HexcastError ? error
      : new HexcastError("the connection failed", { cause: error, _down: error.name == "TimeoutError" }),
    ).then((how) => link._over ? link._signal.reason : how);
    return link;
  }

  /** Something has come over it. The better ways are tried again now and then. */
  _live(link) {
    if (link._alive || link._over) return;
    link._alive = Date.now();
    this._home = link._level;
    this._renewed = false;
    if (this._way != link._way) this._emit("way", this._way = link._way);
    this._set("live");
    if (!link._level) this._climb = this._options.climb;
    else link._climber = setTimeout(() => {
      this._climb = Math.min(this._climb * 2, SLOWEST_CLIMB);
      link._end(CLIMB);
    }, this._climb * (.75 + Math.random() / 2));
  }

  // Topics

  /** The names that were added, once their values are here, and the place these are from. */
  async _join(link) {
    const names = [...this._fresh];
    if (!names.length) return;
    const since = await this._load(names, link);
    for (const name of names) this._fresh.delete(name);
    return [names.filter((name) => this._topics.has(name)), since];
  }

  _values(names, link, query) {
    return whole(this, address(this, { way: "poll", limit: 1000, ...query }, names), link);
  }

  async _load(names, link, last) {
    let first;
    for (let at = 0; at < names.length; at += 50) { // a request line has a limit
      let batch, since;
      do {
        batch = await this._values(names.slice(at, at + 50), link, { since, last });
        for (const record of batch.records)
          if (+last || record.op != "post") await this._record(record, link);
          else this._keep(record);
        since = batch.cursor;
      } while (batch.more);
      first ??= since;
    }
    return first;
  }

  /** The URL that goes on from the cursor. */
  _from(query) {
    const { delta, rate, last } = this._options, since = this.cursor;
    return address(this, { since, delta: +delta, rate, last: !since && last, ...query }, this.topics);
  }

  // Records

  _move(id) {
    if (id && (!this._cursor || newer(id, this._cursor))) this._cursor = id;
  }

  async _message(message, link) {
    const { gap, topic, id, ok, cursor, error } = message;
    if (gap) {
      this._emit("gap", gap);
      await this._hand(gap, { op: "gap", ...gap }, link);
    } else if (topic) {
      await this._record(message, link);
      // While topics are added what comes may be theirs alone: the others' records wait.
      if (!link._adding) this._move(id);
    } else if (error) throw new HexcastError(error.title, error);
    if (ok > 1) link._adding--;
    if (cursor && !link._adding) this._move(cursor);
  }

  async _record(record, link) {
    const { base, topic, id, op, data } = record, had = this._held.get(topic);
    if (had && !newer(id, had.id)) return;
    if (base) {
      record = had?.id == base
        ? { ...record, op: "put", base: undefined, data: op == "patch" ? merge(had.data, data) : had.data + data }
        : (await this._values([topic], link)).records[0]; // changed from what is not at hand
      if (!record) return;
    }
    await this._hand(op == "post" ? id : " " + topic, record, link);
    this._keep(record);
    this._emit("record", record);
  }

  _keep(record) {
    const held = this._held;
    held.delete(record.topic);
    held.set(record.topic, record);
    if (held.size > HELD) held.delete(held.keys().next().value);
  }

  /** Hands on to who iterates. What is too much waits, and with it the link. */
  async _hand(key, item, link) {
    while (this._readers._full(this._options.buffer, key) && !link._over) await this._readers._next();
    if (link._over) throw link._signal.reason;
    this._readers._push(key, item);
  }
}
