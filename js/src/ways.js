/**
 * The ways: each follows the log for a client over one link until something ends it. They return
 * END where the topic has ended, nothing where the server closed, and raise what went wrong.
 */

import { events } from "./events.js";
import { END } from "./link.js";
import { address, bearer, HexcastError, request, whole } from "./requests.js";
import { parse } from "./values.js";

const HELD = 25e3; // ms a long poll is held
const HIDDEN = 6e4; // ms between polls of a page that is not seen

async function websocket(client, link) {
  const { patience, silence, delta, rate, last, buffer, exact } = client._options;
  if (client.cursor) await client._join(link);
  const token = await bearer(client), url = address(client);
  url.protocol = url.protocol.replace("http", "ws");
  link._arm(patience);
  const socket = new WebSocket(url, ["hexcast.v1", ...token ? ["bearer." + token] : []]);
  const say = (message) => socket.readyState == 1 && (socket.send(JSON.stringify(message)), 1);
  const follow = (names, since, ref) => say({
    subscribe: names, since, ref, delta: !!+delta, rate: +rate || 0, last: !since && +last || 0,
  });
  const beat = () => {
    say({ ping: 1 });
    link._arm(patience);
  };
  link._check = () => link._alive && beat();
  const change = async (dropped) => {
    if (dropped.length) say({ unsubscribe: dropped });
    const joined = await client._join(link).catch((error) => link._end(error));
    if (joined) link._adding += follow(...joined, 2);
  };
  try {
    return await new Promise((resolve, reject) => {
      link._signal.onabort = reject;
      let queue = Promise.resolve(), waiting = 0;
      socket.onopen = () => {
        follow(client.topics, client.cursor, 1);
        link._change = change;
      };
      socket.onmessage = ({ data }) => {
        client._live(link);
        link._arm(silence / 2, beat); // the server's pings are not seen here
        // Reading cannot be paused: what is too much is left, and comes again from the cursor.
        if (++waiting > buffer) link._end();
        queue = queue.then(async () => {
          if (!link._over) await client._message(parse(data, exact), link);
          waiting--;
        }).catch(reject);
      };
      socket.onclose = ({ code, reason }) => queue.then(() => code == 1000 ? resolve(END)
        : reject(new HexcastError("the connection failed", { status: code == 4401 ? 401 : 0, detail: reason })));
    });
  } finally {
    socket.close();
  }
}

// By fetch, not EventSource, which shows neither heartbeats nor a refusal's status nor Retry-After,
// and sends no Authorization.
async function sse(client, link) {
  const { patience, silence, exact } = client._options;
  await slot(client, link);
  if (client.cursor) await client._join(link);
  await bearer(client);
  link._arm(patience);
  const { status, headers, body } = await request(client, client._from({ way: "sse" }), { signal: link._signal });
  if (status == 204) return END;
  if (!/event-stream/.test(headers.get("content-type")))
    throw new HexcastError("no stream", { _down: true });
  const reader = body.pipeThrough(new TextDecoderStream()).getReader(), read = events();
  for (let began; ; began = true) {
    const { done, value } = await reader.read();
    if (done) return;
    client._live(link);
    if (!began) client._move(headers.get("hexcast-cursor"));
    link._arm(); // what follows may wait for a reader
    for (const { event, data, retry } of read(value)) {
      if (link._over) return;
      if (retry != null) client._floor = retry;
      else if (event == "hexcast:cursor") client._move(data);
      else if (event == "hexcast:expired") throw new HexcastError("expired", { status: 401 });
      else {
        const message = parse(data, exact);
        await client._message(event == "hexcast:gap" ? { gap: message } : message, link);
      }
    }
    link._arm(silence);
  }
}

async function poll(client, link, held) {
  const { patience, every, last } = client._options;
  if (client.cursor) await client._join(link);
  else client._move(await client._load(client.topics, link, last));
  // Held longer each time: a proxy that swallows held requests is found out by a short one.
  for (let wait = 0; ; wait = held ? Math.min(HELD, wait * 4 + 1e3) : 0) {
    const url = client._from({ way: held ? "long-poll" : "poll", wait: wait / 1e3 + "", limit: 1000 });
    const batch = await whole(client, url, link, wait + patience);
    client._live(link);
    if (batch.gap) await client._message({ gap: batch.gap }, link);
    for (const record of batch.records) await client._message(record, link);
    if (link._over) return;
    client._move(batch.cursor);
    if (batch.end) return END;
    if (!held && !batch.more) await client._sleep(globalThis.document?.hidden ? Math.max(every, HIDDEN) : every, link);
    if (link._over) return;
  }
}

async function longPoll(client, link) {
  await slot(client, link);
  return poll(client, link, true);
}

/** Takes one of four places: over HTTP/1.1 a browser has six connections for all tabs. */
async function slot({ _base }, link) {
  const locks = globalThis.navigator?.locks;
  if (!locks || /^https/.test(_base)) return;
  for (let place = 0; place < 4; place++)
    if (await new Promise((got) => locks.request(_base + place, { ifAvailable: true },
      (lock) => (got(lock), lock && link._done)).catch(() => got(true)))) return;
  throw new HexcastError("no connection", { _down: true });
}

export const WAYS = { websocket, sse, "long-poll": longPoll, poll };
