// The page's run on the server: how it is changed, and the one WebSocket over which the server
// tells what was published, what each client costs, what push has brought, and what time it is.

import { Clock } from "./tally.js";

const BASE = new URL(".", document.baseURI);
const AGAIN_MS = 500;
const ANSWER_MS = 10000;
const CLOCK_MS = 5000;

export function topicUrl(topic, params) {
  const path = topic.split("/").map(encodeURIComponent).join("/");
  const url = new URL(`topics/${path}`, BASE);
  for (const [name, value] of Object.entries(params)) url.searchParams.set(name, value);
  return url.href;
}

export class Session {
  /** `to` is told of `settings`, `figures`, `published(record)` of one's own topic, `up`, `down`. */
  constructor(to) {
    this.to = to;
    this.clock = new Clock();
    this.run = "";
    this.settings = null;
    this.cursor = "";
    this.sent = new Map();
    this.pings = 0;
    this.starts = 0;
    setInterval(() => this.ping(), CLOCK_MS);
  }

  /** Milliseconds of the server's clock. */
  now() { return performance.timeOrigin + performance.now() + this.clock.offset; }

  async call(method, path, body) {
    const answer = await fetch(new URL(`lab/runs${path}`, BASE), {
      method,
      headers: body ? { "Content-Type": "application/json" } : {},
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    const told = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(told.detail ?? "refused"), { status: answer.status });
    return told;
  }

  /** Begin a run, or the same again where the server has forgotten it. */
  async begin(wish) {
    this.take(await this.call("POST", "", wish));
    this.starts += 1;
    this.connect();
  }

  take(told) {
    this.settings = told;
    this.run = told.run;
    this.to.settings(told);
  }

  async change(wish) { this.take(await this.call("PATCH", `/${this.run}`, wish)); }
  async harm(harm) { await this.call("POST", `/${this.run}/breaks`, harm); }
  async restart() { await this.call("POST", `/${this.run}/restart`, {}); }

  end() {
    const url = new URL(`lab/runs/${this.run}`, BASE);
    fetch(url, { method: "DELETE", keepalive: true }).catch(() => {}); // it ends by itself as well
  }

  connect() {
    const url = new URL("topics?way=websocket", BASE);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = this.socket = new WebSocket(url, ["hexcast.v1"]);
    const { prefix, own, page } = this.settings;
    socket.onopen = () => {
      const names = [`${prefix}/figures`, `${prefix}/clock`, ...(own ? [page] : [])];
      const since = this.cursor ? { since: this.cursor } : {};
      socket.send(JSON.stringify({ subscribe: names, ref: "all", ...since }));
      for (let i = 0; i < 10; i += 1) setTimeout(() => this.ping(), 60 * i);
      this.to.up();
    };
    socket.onmessage = (event) => this.hear(JSON.parse(event.data));
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.to.down();
      setTimeout(() => this.again(), AGAIN_MS);
    };
  }

  /** Come back: to the run as it was, or to one of the same name on a server started anew. */
  async again() {
    const { run, own, page, rate, size, send, kind, n } = this.settings;
    try {
      this.take(await this.call("GET", `/${run}`));
    } catch (error) {
      if (error.status !== 404) { setTimeout(() => this.again(), AGAIN_MS); return; }
      const wish = {
        run, topic: own ? page : "", rate, size, send, kind, n: this.lastN ?? n,
        cursor: this.to.pushCursor(),
      };
      try {
        this.take(await this.call("POST", "", wish));
        this.starts += 1;
      } catch { setTimeout(() => this.again(), AGAIN_MS); return; }
      this.to.anew();
    }
    this.connect();
  }

  /** Ask what time it is: a record of ours comes back with the server's stamp. */
  ping() {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.pings += 1;
    const name = `${this.starts}-${this.pings}`;
    this.sent.set(name, performance.timeOrigin + performance.now());
    if (this.sent.size > 50) this.sent.delete(this.sent.keys().next().value);
    const topic = `${this.settings.prefix}/clock`;
    this.socket.send(JSON.stringify({ publish: topic, op: "put", data: name }));
  }

  hear(said) {
    if (said.cursor) this.cursor = said.cursor;
    if (!said.id) return;
    this.cursor = said.id;
    if (said.topic.endsWith("/clock") && said.topic.startsWith(this.settings.prefix)) {
      const sent = this.sent.get(said.data);
      const back = performance.timeOrigin + performance.now();
      if (sent) this.clock.take(sent, Date.parse(said.time), back);
      this.sent.delete(said.data);
    } else if (said.topic === `${this.settings.prefix}/figures`) {
      if (said.op === "delete") return;
      if (said.data.published.length) this.lastN = said.data.published.at(-1)[0];
      this.to.figures(said.data);
    } else this.to.published(said);
  }
}
