/**
 * Hexcast in the browser: keeps a page current over the best way that works where it is.
 * `new Hexcast(url)` follows topics, `bind(root)` fills a page's elements. See hexcast.d.ts.
 *
 * A client is a cursor into the server's log. A link is one attempt to follow it, over one way; links
 * may fail, overlap and replace each other: what a topic has had already is left out by its id.
 */

const PATIENCE = 3e3; // ms for the first byte, and for the answer to a ping
const SILENCE = 18e3; // ms without a heartbeat, which the server sends at least every 15 s
const MOST = 2 ** 24; // characters of one event
const HELD = 1e5; // topics whose newest record is kept
const AGAIN = Symbol("again"), END = Symbol("end");
const world = globalThis;
const hidden = () => world.document?.hidden;

export class HexcastError extends Error {
  constructor(title, more) {
    super(title, more);
    Object.assign(this, { name: "HexcastError", status: 0, title, detail: "", fatal: false }, more);
  }
}

// Values. With `exact`, a number that JavaScript would write differently keeps its own text.

const raw = (value) => JSON.isRawJSON?.(value);
const reviver = (_, value, context) =>
  typeof value == "number" && JSON.rawJSON && context?.source && context.source != value + ""
    ? JSON.rawJSON(context.source) : value;
const object = (value) => value && typeof value == "object" && !Array.isArray(value) && !raw(value);

export const parse = (json, exact) => JSON.parse(json, exact ? reviver : undefined);

export const text = (value) => value == null ? "" : raw(value) ? value.rawJSON
  : typeof value == "object" ? JSON.stringify(value) : value + "";

/** A member by name, or by JSON Pointer (RFC 6901); undefined where there is none. */
export function pick(value, part) {
  const path = !part ? [] : part[0] != "/" ? [part]
    : part.slice(1).split("/").map((key) => key.replace(/~1/g, "/").replace(/~0/g, "~"));
  for (const key of path) {
    const list = Array.isArray(value) && part[0] == "/" && /^(0|[1-9]\d*)$/.test(key);
    if (!(list || object(value)) || !Object.hasOwn(value, key)) return;
    value = value[key];
  }
  return value;
}

/** A merge patch (RFC 7396), applied to a copy. `__proto__` is a member like any other. */
export function merge(value, patch) {
  if (!object(patch)) return patch;
  const members = new Map(object(value) ? Object.entries(value) : []);
  for (const [key, change] of Object.entries(patch))
    if (change === null) members.delete(key);
    else members.set(key, merge(members.get(key), change));
  return Object.fromEntries(members);
}

/** Whether an id comes after another; of another epoch, it does. */
export function newer(id, than) {
  const [epoch, seq] = id.split("-"), [before, last] = than.split("-");
  return epoch != before || +seq > +last;
}

/** Reads text/event-stream (WHATWG HTML, 9.2.6) piece by piece: gives the events of each piece. */
export function events() {
  let rest = "", size = 0, event = {};
  return (piece) => {
    const found = [], lines = (rest + piece).split(/\r\n|\n|\r(?=[^])/);
    rest = lines.pop();
    for (const line of lines) {
      size += line.length;
      if (!line) {
        if (event.data != null) found.push(event);
        event = {};
        size = 0;
        continue;
      }
      const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
      if (field == "data") event.data = event.data == null ? value : event.data + "\n" + value;
      else if (field == "event" || field == "id") event[field] = value;
      else if (field == "retry" && /^\d+$/.test(value)) found.push({ retry: +value });
    }
    if (size + rest.length > MOST) throw new HexcastError("an event is too large");
    return found;
  };
}

class Link {
  constructor(level, way) {
    const stop = new AbortController();
    Object.assign(this, { level, way, stop, signal: stop.signal, pending: 0, heard: Date.now() });
    this.first = new Promise((resolve) => this.found = resolve);
    this.aborted = new Promise((_, reject) =>
      this.signal.addEventListener("abort", () => reject(this.signal.reason)));
    this.aborted.catch(() => {}); // whoever waits sees it
  }
  get over() { return this.signal.aborted; }
  /** Ends the link unless it is armed again in time. */
  arm(ms, then) {
    clearTimeout(this.timer);
    this.heard = Date.now();
    if (ms && !this.over) this.timer = setTimeout(then ?? (() =>
      this.end(new HexcastError(`nothing is heard over ${this.way}`, { down: true }))), ms);
  }
  end(reason = AGAIN) {
    this.arm();
    clearTimeout(this.climber);
    this.stop.abort(reason);
    this.probe?.end();
  }
}

export class Hexcast extends EventTarget {
  #o; #base; #query; #link; #token; #fault; #over = false; #hurry = false;
  #topics = new Map(); // name: whether its value was asked for
  #held = new Map(); // topic: its newest record
  #queues = new Set();
  #waiters = new Set();
  #floor = 0; #fails = 0; #home = 0; #climb; #asked = 0;
  #stop = new AbortController();
  #ways = {
    websocket: (link) => this.#websocket(link), sse: (link) => this.#sse(link),
    "long-poll": (link) => this.#longPoll(link), poll: (link) => this.#poll(link),
  };
  #cursor; #way = ""; #state = "connecting";

  constructor(url, options = {}) {
    super();
    url = new URL(url, world.document?.baseURI);
    const [, base, name] = /^(.*?\/topics)(?:\/(.+))?$/.exec(url.pathname) ?? [];
    if (!base) throw new TypeError(`${url.pathname} is not under /topics`);
    this.#query = url.searchParams;
    const given = Object.fromEntries(["since", "last", "rate"].flatMap((key) =>
      this.#query.has(key) ? [[key, this.#query.get(key)]] : []));
    const names = [...this.#query.getAll("topic"), ...options.topics ?? []];
    if (name) names.push(decodeURIComponent(name));
    for (const key of ["since", "last", "rate", "topic", "delta"]) this.#query.delete(key);
    this.#base = new URL(base, url);
    this.#o = {
      ways: ["websocket", "sse", "long-poll", "poll"], patience: PATIENCE, silence: SILENCE,
      every: 5e3, climb: 15e3, buffer: 1e3, backoff: 500, delta: true, ...given, ...options,
    };
    this.#cursor = this.#o.since;
    this.#climb = this.#o.climb;
    for (const each of names) this.#topics.set(each, true);
    const on = (type, act) => world.addEventListener?.(type, act, { signal: this.#stop.signal });
    const wake = () => {
      const link = this.#link;
      if (Date.now() - link?.heard > this.#o.silence) link.end();
      link?.check?.();
      this.#fails = 0;
      this.#hurry = true;
      this.#tick();
    };
    on("online", wake);
    on("pageshow", wake);
    on("offline", () => this.#link?.end());
    world.document?.addEventListener("visibilitychange", () => hidden() || wake(), { signal: this.#stop.signal });
    this.#run();
  }

  get cursor() { return this.#cursor; }
  get way() { return this.#way; }
  get state() { return this.#state; }
  get topics() { return [...this.#topics.keys()]; }
  record(topic) { return this.#held.get(topic); }
  get(topic) { return this.#held.get(topic)?.data; }

  /** Also follows these; brings the value of those of which it has none. */
  add(...names) {
    for (const name of names.flat())
      if (!this.#topics.has(name) || !this.#held.has(name) && !name.includes("*")) this.#topics.set(name, false);
    this.#changed([]);
  }

  drop(...names) {
    names = names.flat().filter((name) => this.#topics.delete(name));
    for (const name of names) this.#held.delete(name);
    this.#changed(names);
  }

  #changed(dropped) {
    const link = this.#link;
    link?.probe?.end();
    if (link?.change && this.#topics.size) link.change(dropped);
    else link?.end();
    this.#tick();
  }

  close() { this.#finish("closed"); }

  post(topic, data, options) { return this.#publish("POST", topic, data, options); }
  put(topic, data, options) { return this.#publish("PUT", topic, data, options); }
  /** An object is a merge patch, an array a JSON patch, a string is added at the end of a text. */
  patch(topic, data, options) { return this.#publish("PATCH", topic, data, options); }
  delete(topic, options) { return this.#publish("DELETE", topic, undefined, options); }

  [Symbol.asyncIterator]() {
    const queue = new Map();
    this.#queues.add(queue);
    return this.#drain(queue);
  }

  async *#drain(queue) {
    try {
      for (;;) {
        for (const [key, record] of queue) {
          queue.delete(key);
          this.#tick();
          yield record;
        }
        if (this.#fault) throw this.#fault;
        if (this.#over) return;
        if (!queue.size) await this.#next();
      }
    } finally {
      this.#queues.delete(queue);
      this.#tick();
    }
  }

  // Waiting: everything that may have changed is told by one tick.

  #tick() {
    const waiters = this.#waiters;
    this.#waiters = new Set();
    for (const go of waiters) go();
  }

  #next(ms) {
    return new Promise((go) => {
      this.#waiters.add(go);
      if (ms) setTimeout(go, ms);
    });
  }

  async #sleep(ms, link) {
    const until = Date.now() + ms;
    this.#hurry = false;
    while (Date.now() < until && !this.#hurry && !this.#over && !link?.over)
      await this.#next(until - Date.now());
  }

  #full(key) {
    return [...this.#queues].some((queue) => queue.size >= this.#o.buffer && !queue.has(key));
  }

  #emit(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }

  #set(state) {
    if (state != this.#state) this.#emit("state", this.#state = state);
  }

  #finish(state, fault) {
    if (this.#over) return;
    this.#over = true;
    this.#fault = fault;
    this.#link?.end();
    this.#stop.abort();
    this.#set(state);
    this.#tick();
  }

  // Links

  async #run() {
    let level = 0, next;
    await null;
    while (!this.#over) {
      if (!this.#topics.size || this.#full()) {
        await this.#next();
        continue;
      }
      const link = this.#link = next ?? this.#open(level);
      if (!link.alive) this.#set("connecting");
      const why = await link.done;
      link.end();
      next = undefined;
      if (this.#over) return;
      if (why == END) {
        this.#finish("ended");
        this.#emit("end");
      } else if (why instanceof Link) {
        next = why;
        level = why.level;
      } else if (why != AGAIN) {
        if (why) {
          if (why.status == 401) {
            this.#token = undefined;
            this.#emit("expired", why);
            if (this.#o.getToken && !this.#asked++) continue;
          }
          const refused = why.status == 401 || why.status == 501
            || why.status >= 400 && why.status < 500 && ![408, 425, 429].includes(why.status);
          const lower = level + 1 < this.#o.ways.length;
          why.fatal = why.status == 401 || refused && !lower;
          this.#emit("error", why);
          if (why.fatal) return this.#finish("closed", why);
          if (lower && (refused || why.down || link.way == "websocket" && !link.alive)) {
            level++;
            continue;
          }
        }
        level = why?.down ? 0 : this.#home;
        if (Date.now() - link.alive > 5e3) this.#fails = 0;
        this.#set("waiting");
        await this.#sleep((why?.retry ?? this.#floor)
          + Math.random() * Math.min(3e4, this.#o.backoff * 2 ** this.#fails++));
      }
    }
  }

  #open(level) {
    const way = this.#o.ways[level], link = new Link(level, way);
    link.done = this.#ways[way](link).then((how) => how, (error) => error instanceof HexcastError
      ? error : new HexcastError("the connection failed", { cause: error, detail: error + "" }))
      .then((how) => {
        link.found(false);
        link.arm();
        return link.over ? link.signal.reason : how;
      });
    return link;
  }

  /** Something came over it. */
  #live(link) {
    if (link.alive || link.over) return;
    const old = this.#link;
    link.alive = Date.now();
    link.found(true);
    this.#link = link;
    if (old != link) {
      old.probe = undefined;
      old.end(link);
    }
    this.#home = link.level;
    this.#asked = 0;
    if (this.#way != link.way) this.#emit("way", this.#way = link.way);
    this.#set("live");
    this.#climbFrom(link);
  }

  /** Tries the better ways now and then, beside the one in use. */
  #climbFrom(link) {
    if (link.level) link.climber = setTimeout(async () => {
      this.#climb = Math.min(this.#climb * 2, 6e5);
      for (let level = 0; level < link.level && !link.over && !hidden(); level++) {
        link.probe = this.#open(level);
        if (await link.probe.first) return;
      }
      if (!link.over) this.#climbFrom(link);
    }, this.#climb * (.75 + Math.random() / 2));
  }

  async #websocket(link) {
    link.arm(this.#o.patience);
    if (this.#cursor) await this.#join(link);
    const token = await this.#bearer(link), url = this.#url({});
    url.protocol = url.protocol.replace("http", "ws");
    link.arm(this.#o.patience);
    const socket = new WebSocket(url, ["hexcast.v1", ...token ? ["bearer." + token] : []]);
    const say = (message) => socket.send(JSON.stringify(message));
    const follow = (names, since) => say({
      subscribe: names, since, ref: ++link.pending, delta: !!this.#o.delta, rate: +this.#o.rate || 0,
      last: since ? 0 : +this.#o.last || 0,
    });
    link.check = () => {
      if (!link.alive) return;
      say({ ping: 1 });
      link.arm(this.#o.patience);
    };
    try {
      return await Promise.race([link.aborted, new Promise((resolve, reject) => {
        let queue = Promise.resolve(), waiting = 0;
        socket.onopen = () => {
          const names = this.topics;
          for (const name of names) this.#topics.set(name, true);
          follow(names, this.#cursor);
        };
        socket.onmessage = ({ data }) => {
          link.arm(1e4, link.check);
          if (++waiting > this.#o.buffer) link.end(); // comes again when there is room
          queue = queue.then(async () => {
            waiting--;
            if (!link.over) await this.#message(parse(data, this.#o.exact), link);
          }).catch(reject);
        };
        socket.onclose = ({ code, reason }) => queue.then(() => code == 1000 ? resolve(END)
          : reject(new HexcastError("the WebSocket closed", { status: code == 4401 ? 401 : 0, detail: `${code} ${reason}` })));
        link.change = async (dropped) => {
          if (dropped.length) say({ unsubscribe: dropped });
          const joined = await this.#join(link).catch((error) => link.end(error));
          if (joined && !link.over) follow(...joined);
        };
      })]);
    } finally {
      link.change = link.check = undefined;
      socket.close();
    }
  }

  async #sse(link) {
    await this.#slot(link);
    if (this.#cursor) await this.#join(link);
    const response = await this.#fetch(this.#from({ way: "sse" }), link);
    if (response.status == 204) return END;
    if (!/^text\/event-stream/.test(response.headers.get("content-type")))
      throw new HexcastError("this is not an event stream", { down: true });
    this.#move(response.headers.get("hexcast-cursor"));
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader(), read = events();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      link.arm();
      for (const { event, data, retry } of read(value)) {
        if (link.over) return;
        if (retry != null) this.#floor = retry;
        else if (event == "hexcast:cursor") this.#move(data);
        else if (event == "hexcast:expired") throw new HexcastError("the token has expired", { status: 401 });
        else {
          const message = parse(data, this.#o.exact);
          await this.#message(event == "hexcast:gap" ? { gap: message } : message, link);
        }
      }
      this.#live(link);
      link.arm(this.#o.silence);
    }
  }

  async #longPoll(link) {
    await this.#slot(link);
    return this.#poll(link, 25);
  }

  async #poll(link, held) {
    const names = this.topics;
    if (this.#cursor) await this.#join(link);
    else this.#move(await this.#load(names, link, this.#o.last));
    for (let wait = 0; ; wait = held ?? 0) {
      const way = held ? "long-poll" : "poll";
      const batch = await this.#batch(this.#from({ way, wait, limit: 1000 }), link, wait * 1e3);
      this.#live(link);
      if (batch.gap) await this.#message(batch, link);
      for (const record of batch.records) await this.#message(record, link);
      if (link.over) return;
      this.#move(batch.cursor);
      if (batch.end) return END;
      if (!held && !batch.more) await this.#sleep(hidden() ? Math.max(this.#o.every, 6e4) : +this.#o.every, link);
      if (link.over) return;
    }
  }

  /** Takes one of four places: over HTTP/1.1 a browser has six connections for all tabs. */
  async #slot(link) {
    const { locks } = world.navigator ?? {};
    if (!locks || this.#base.protocol == "https:") return;
    for (let place = 0; place < 4; place++)
      if (await new Promise((got) => locks.request(`hexcast ${this.#base.host} ${place}`, { ifAvailable: true },
        (lock) => (got(lock), lock && link.done)).catch(() => got(true)))) return;
    throw new HexcastError("other tabs have the connections", { down: true });
  }

  /** The values of topics that were added, and the place they are from. */
  async #join(link) {
    const names = [...this.#topics].flatMap(([name, joined]) => joined ? [] : [name]);
    if (!names.length) return;
    const since = await this.#load(names, link);
    for (const name of names) if (this.#topics.has(name)) this.#topics.set(name, true);
    return [names, since];
  }

  async #load(names, link, last) {
    let first;
    for (let at = 0; at < names.length; at += 50) {
      let batch, since;
      do {
        batch = await this.#batch(this.#url({ way: "poll", limit: 1000, since, last }, names.slice(at, at + 50)), link);
        for (const record of batch.records)
          if (last || record.op != "post") await this.#record(record, link);
          else this.#keep(record);
        since = batch.cursor;
      } while (batch.more);
      first ??= since;
    }
    return first;
  }

  // Requests

  #url(query, names = []) {
    const url = new URL(this.#base);
    for (const [key, value] of [...this.#query, ...Object.entries(query), ...names.map((name) => ["topic", name])])
      if (value != null && value !== "") url.searchParams.append(key, value);
    return url;
  }

  #from(query) {
    const { delta, rate, last } = this.#o, since = this.#cursor;
    return this.#url({ format: "json", since, delta: delta ? 1 : "", rate, last: since ? "" : last, ...query }, this.topics);
  }

  async #bearer(link) {
    if (!this.#token && this.#o.getToken) {
      link.arm(6e4);
      this.#token = await Promise.race([this.#o.getToken(), link.aborted]);
    }
    return this.#token;
  }

  async #fetch(url, link, ms = 0, init = {}) {
    const token = await this.#bearer(link);
    link.arm(ms + this.#o.patience);
    const headers = { ...init.headers, ...token && { authorization: "Bearer " + token } };
    const response = await fetch(url, { cache: "no-store", credentials: this.#o.credentials, signal: link.signal, ...init, headers });
    if (response.ok) return response;
    const problem = await response.json().catch(() => ({}));
    const after = response.headers.get("retry-after");
    throw new HexcastError(problem.title ?? response.statusText, {
      status: response.status, title: problem.title ?? response.statusText, detail: problem.detail ?? "",
      retry: after ? Math.max(0, +after ? after * 1e3 : Date.parse(after) - Date.now()) || 0 : undefined,
    });
  }

  async #batch(url, link, ms) {
    const batch = parse(await (await this.#fetch(url, link, ms)).text(), this.#o.exact);
    link.arm();
    return batch;
  }

  /** Publishes; tries again with the same key where it is not known whether it was done. */
  async #publish(method, topic, data, { op, event, end, type, key, match, none, timeout = 15e3 } = {}) {
    const url = new URL(this.#base);
    url.pathname += "/" + topic.split("/").map(encodeURIComponent).join("/");
    for (const [name, value] of [...this.#query, ["op", op], ["event", event], ["end", end && 1]])
      if (value) url.searchParams.set(name, value);
    let body = data;
    if (typeof data == "string") {
      type ??= "text/plain; charset=utf-8";
      if (method == "PATCH") url.searchParams.set("op", "append");
    } else if (data instanceof Blob || data instanceof ArrayBuffer || ArrayBuffer.isView(data)) {
      type ??= data.type || "application/octet-stream";
    } else if (data !== undefined) {
      type ??= method != "PATCH" ? "application/json"
        : `application/${Array.isArray(data) ? "json" : "merge"}-patch+json`;
      body = JSON.stringify(data);
    }
    const headers = {
      "idempotency-key": key ?? Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join(""),
      ...type && { "content-type": type }, ...match && { "if-match": `"${match}"` },
      ...none && { "if-none-match": "*" },
    };
    const until = Date.now() + timeout;
    for (let fails = 0, asked = 0; ;) {
      const link = new Link(0, "fetch");
      try {
        const response = await this.#fetch(url, link, Math.max(0, until - Date.now()), { method, headers, body });
        return await response.json();
      } catch (error) {
        if (error.status == 401 && this.#o.getToken && !asked++) {
          this.#token = undefined;
          continue;
        }
        const wait = (error.retry ?? 0) + Math.random() * this.#o.backoff * 2 ** fails++;
        if (error.status && ![429, 502, 503, 504].includes(error.status) || Date.now() + wait > until) throw error;
        await new Promise((go) => setTimeout(go, wait));
      } finally {
        link.end();
      }
    }
  }

  // Records

  #move(id) {
    if (id && (!this.#cursor || newer(id, this.#cursor))) this.#cursor = id;
  }

  #keep(record) {
    const held = this.#held;
    held.delete(record.topic);
    held.set(record.topic, record);
    if (held.size > HELD) held.delete(held.keys().next().value);
  }

  async #message(message, link) {
    if (message.gap) {
      this.#emit("gap", message.gap);
      await this.#queue(message.gap.before + " gap", { op: "gap", ...message.gap }, link);
    } else if (message.topic) {
      await this.#record(message, link);
      // While topics are added, what comes may be theirs alone: the others' records wait.
      if (link.pending < 2 && !link.over) this.#move(message.id);
    } else if (message.cursor || message.ok) {
      if (message.ok) link.pending--;
      if (!link.pending) this.#move(message.cursor);
    } else if (message.error) {
      throw new HexcastError(message.error.title, message.error);
    }
    if (link.way == "websocket") this.#live(link);
  }

  async #record(record, link) {
    const had = this.#held.get(record.topic);
    if (had && !newer(record.id, had.id)) return;
    const { base, ...whole } = record;
    if (base) {
      if (had?.id != base) record = await this.#read(record, link);
      else {
        const data = record.op == "patch" ? merge(had.data, record.data) : had.data + record.data;
        record = { ...whole, op: "put", data };
      }
      if (!record || had && !newer(record.id, had.id)) return;
    }
    await this.#queue(record.op == "post" ? record.id : " " + record.topic, record, link);
    this.#keep(record);
    this.#emit("record", record);
  }

  /** The value that a change leads to, where the one before it is not at hand. */
  async #read({ topic, id }, link) {
    const one = this.#url({ id, format: "json" });
    one.pathname += "/" + topic.split("/").map(encodeURIComponent).join("/");
    try {
      return await this.#batch(one, link);
    } catch (error) {
      if (error.status != 404 && error.status != 410) throw error;
      return (await this.#batch(this.#url({ way: "poll" }, [topic]), link)).records[0];
    }
  }

  /** Hands on to who iterates. States fold; else what is too much waits, and with it the link. */
  async #queue(key, item, link) {
    while (this.#full(key) && !link.over) await this.#next();
    if (link.over) throw link.signal.reason;
    for (const queue of this.#queues) {
      queue.delete(key);
      queue.set(key, item);
    }
    this.#tick();
  }
}

// Elements

const FORBIDDEN = /^(on.*|srcdoc|style)$/i;
const binders = new Map();
let warned;

/** What an element shows: [data-topic], or <live-value topic>. */
function wish(element) {
  if (element.localName != "live-value") return element.dataset;
  const [topic, part, html] = ["topic", "part", "html"].map((name) => element.getAttribute(name) ?? undefined);
  return { topic, part, html };
}

class Binder {
  elements = new Map(); // element: what it shows, and what the author wrote
  constructor(url, options = {}, elements = []) {
    const topics = elements.map((element) => wish(element).topic);
    this.live = new Hexcast(url, { exact: true, delta: !options.since, ...options, topics });
    this.live.addEventListener("record", ({ detail }) => {
      for (const [element, shown] of this.elements) if (shown.topic == detail.topic) this.show(element, shown);
    });
    for (const element of elements) this.take(element);
  }

  take(element) {
    const { topic, part, attr, html } = wish(element);
    const first = attr ? element.getAttribute(attr) : [...element.childNodes];
    const shown = { topic, part, attr, html, first };
    this.elements.set(element, shown);
    this.show(element, shown);
  }

  change(added, gone) {
    for (const element of gone) this.elements.delete(element);
    for (const element of added) if (!this.elements.has(element)) this.take(element);
    const wanted = new Set([...this.elements.values()].map(({ topic }) => topic));
    const stale = this.live.topics.filter((topic) => !wanted.has(topic));
    const fresh = [...wanted].filter((topic) => !this.live.record(topic));
    if (fresh.length) this.live.add(fresh);
    if (stale.length) this.live.drop(stale);
  }

  show(element, shown) {
    const { topic, part, attr, html, first } = shown, record = this.live.record(topic);
    if (!record) return;
    const value = record.op == "delete" ? undefined : pick(record.data, part), words = text(value);
    if (attr) {
      if (FORBIDDEN.test(attr) || /^(javascript|vbscript):/i.test(words.replace(/[\0-\x20]/g, ""))) {
        if (!warned) console.warn(`hexcast: ${attr} is not set from ${topic}`, element);
        warned = true;
      } else if (value === undefined && first == null) element.removeAttribute(attr);
      else {
        const wanted = value === undefined ? first : words;
        if (element.getAttribute(attr) != wanted) element.setAttribute(attr, wanted);
      }
    } else if (value === undefined) {
      shown.node = shown.html = undefined;
      element.replaceChildren(...first);
    } else if (html != null && part == null && /^text\/html\b/i.test(record.type)) {
      if (shown.words != words) element.innerHTML = words;
    } else if (element.textContent != words || element.firstElementChild) {
      // The text of a node of its own is set without replacing it, so that a selection stays.
      if (shown.node && shown.node == element.firstChild && !shown.node.nextSibling) shown.node.data = words;
      else {
        element.textContent = words;
        shown.node = element.firstChild;
      }
    }
    shown.words = value === undefined ? undefined : words;
  }
}

/** Keeps the elements with `data-topic` under `root` current, those that come later too. */
export function bind(root = document, { url = new URL("topics", import.meta.url), ...options } = {}) {
  const find = (node) => [...node.matches?.("[data-topic]") ? [node] : [], ...node.querySelectorAll?.("[data-topic]") ?? []];
  const binder = new Binder(url, options, find(root)), { live } = binder;
  const observer = new MutationObserver((changes) => {
    const added = new Set(), gone = new Set();
    for (const { type, target, addedNodes, removedNodes } of changes) {
      if (type == "attributes") {
        gone.add(target);
        if (target.matches("[data-topic]")) added.add(target);
      }
      for (const node of removedNodes) for (const element of find(node)) gone.add(element);
      for (const node of addedNodes) for (const element of find(node)) added.add(element);
    }
    for (const element of added) if (!root.contains(element)) added.delete(element);
    if (added.size + gone.size) binder.change(added, [...gone].filter((element) => !root.contains(element) || added.has(element)));
  });
  observer.observe(root, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-topic", "data-part", "data-attr", "data-html"] });
  binders.set(new URL(url, document.baseURI).href, binder);
  for (const type of ["gap", "expired", "error", "state", "way"])
    live.addEventListener(type, ({ detail }) => root.dispatchEvent(new CustomEvent("hexcast:" + type, { detail })));
  live.addEventListener("state", ({ detail }) => detail == "closed" && observer.disconnect());
  return live;
}

if (world.customElements && !customElements.get("live-value"))
  customElements.define("live-value", class extends HTMLElement {
    static observedAttributes = ["topic", "part", "html"];
    connectedCallback() {
      queueMicrotask(() => { // so that a page that calls bind comes first
        if (!this.isConnected || !this.getAttribute("topic")) return;
        const url = new URL(this.getAttribute("url") ?? new URL("topics", import.meta.url), document.baseURI).href;
        if (!binders.has(url)) binders.set(url, new Binder(url));
        this.binder = binders.get(url);
        this.binder.change([this], []);
      });
    }
    disconnectedCallback() { this.binder?.change([], [this]); }
    attributeChangedCallback() {
      this.disconnectedCallback();
      if (this.isConnected) this.connectedCallback();
    }
  });
