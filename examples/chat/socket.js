/**
 * The room over one WebSocket, both ways: the subprotocol `hexcast.v1` without a library. What was
 * said and not yet acknowledged when a connection is lost is said again with its key, which the
 * server takes once.
 */
export class Socket {
  #url; #topic; #since; #show; #tell; #socket; #over = false; #fails = 0;
  #unsaid = new Map(); // key: the message, and who waits for it

  /** `show` gets each record, `tell` the state: connecting, live, waiting. */
  constructor(url, topic, { since, show, tell }) {
    [this.#url, this.#topic, this.#since, this.#show, this.#tell] = [url, topic, since, show, tell];
    this.#open();
  }

  #open() {
    if (this.#over) return;
    this.#tell("connecting");
    const socket = this.#socket = new WebSocket(this.#url, "hexcast.v1");
    socket.onopen = () => {
      this.#say({ subscribe: [this.#topic], since: this.#since, ref: "subscribe" });
      for (const { message } of this.#unsaid.values()) this.#say(message);
    };
    socket.onmessage = ({ data }) => this.#hear(JSON.parse(data));
    socket.onclose = () => {
      if (this.#over) return;
      this.#tell("waiting");
      setTimeout(() => this.#open(), Math.random() * Math.min(30_000, 500 * 2 ** this.#fails++));
    };
  }

  #say(message) {
    this.#socket.send(JSON.stringify(message));
  }

  #hear(message) {
    if (message.topic) {
      this.#since = message.id;
      this.#show(message);
    } else if (message.gap) {
      this.#show({ op: "gap" });
    } else if (message.ok === "subscribe") {
      this.#fails = 0;
      this.#since = message.cursor;
      this.#tell("live");
    } else {
      const waiting = this.#unsaid.get(message.ok ?? message.ref);
      if (!waiting) return;
      this.#unsaid.delete(message.ok ?? message.ref);
      if (message.error) waiting.reject(new Error(message.error.detail));
      else waiting.resolve(message.id);
    }
  }

  /** Says something; resolves when the server has it. */
  post(topic, data) {
    const key = crypto.getRandomValues(new Uint32Array(4)).join("");
    const message = { publish: topic, data, key, ref: key };
    return new Promise((resolve, reject) => {
      this.#unsaid.set(key, { message, resolve, reject });
      if (this.#socket.readyState === WebSocket.OPEN) this.#say(message);
    });
  }

  close() {
    this.#over = true;
    this.#socket.close();
    for (const { reject } of this.#unsaid.values()) reject(new Error("left before it was said"));
  }
}
