/** Keeps a topic's page current, over the way that is chosen; hexcast.js does the work. */

import { Hexcast } from "../HEXCAST";

const HISTORY = 20; // lines
const SNIPPET = 200; // characters of a line
const AGAIN = 5e3; // ms until a topic that has ended is looked at again
const TITLES = {
  websocket: "WebSocket", sse: "Server-Sent Events", "long-poll": "long polling", poll: "polling",
};

const main = document.querySelector("main");
const [status, history, way, choice] =
  ["status", "history", "way", "choice"].map((id) => document.getElementById(id));
let live, cursor = main.dataset.cursor;

const size = (base64) => base64.length / 4 * 3 - (/=*$/.exec(base64)[0].length);

/** A payload as text to look at, as the server shows it. */
function words({ op, data }) {
  if (op === "delete") return "";
  if (typeof data === "string") return data;
  const octets = data && typeof data === "object" && Object.keys(data).length === 1 && data.base64;
  return typeof octets === "string" ? `${size(octets)} bytes` : JSON.stringify(data);
}

/** Where a topic's value stands; made where it has no place yet. */
function place(topic) {
  for (const pre of main.querySelectorAll("pre[data-topic]"))
    if (pre.dataset.topic === topic) return pre;
  const head = document.createElement("h2"), pre = document.createElement("pre");
  head.textContent = pre.dataset.topic = topic;
  main.append(head, pre);
  return pre;
}

function remember(record, text) {
  const line = document.createElement("li"), time = document.createElement("time");
  const op = document.createElement("span");
  time.textContent = record.time.slice(11, 19);
  op.textContent = record.op;
  line.append(time, " ", op, " ", text.length > SNIPPET ? text.slice(0, SNIPPET) + "…" : text);
  history.prepend(line);
  while (history.children.length > HISTORY) history.lastChild.remove();
}

function show(record) {
  const text = words(record), pre = place(record.topic);
  if (pre.dataset.id === record.id) return;
  pre.dataset.id = record.id;
  pre.textContent = text;
  if (history) remember(record, text);
}

function tell({ state, way: used }) {
  status.textContent = {
    live: `Live, over ${TITLES[used]}.`,
    connecting: "Connecting.",
    waiting: "Not connected, trying again.",
    ended: "Ended. A later record begins it again.",
    closed: "Not followed any more.",
  }[state];
}

/** Goes on, from where the page is, over another way. */
function follow(chosen) {
  live?.close();
  const url = new URL(location.href);
  for (const name of ["way", "since", "format", "last"]) url.searchParams.delete(name);
  // A state's changes are applied to its value, which comes first; all else goes on from the page.
  const whole = main.dataset.kind === "state" ? { delta: true } : { delta: false, since: cursor };
  const mine = live = new Hexcast(url, {
    // Polling is below: other tabs may have all the connections that streams may take.
    exact: true, ...whole, ...chosen && { ways: [...new Set([chosen, "poll"])], every: 2000 },
  });
  mine.addEventListener("record", ({ detail }) => {
    if (mine === live) show(detail);
  });
  for (const type of ["state", "way"])
    mine.addEventListener(type, () => {
      if (mine !== live) return;
      cursor = mine.cursor ?? cursor;
      tell(mine);
      if (type === "state" && mine.state === "ended")
        setTimeout(() => mine === live && follow(chosen), AGAIN);
    });
  mine.addEventListener("error", ({ detail }) => {
    if (mine === live && detail.fatal) status.textContent = `${detail.title}. ${detail.detail ?? ""}`;
  });
}

function copyable(sample) {
  const button = document.createElement("button"), code = sample.querySelector("code");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  sample.append(button);
}

way.addEventListener("change", () => {
  cursor = live.cursor ?? cursor;
  if (way.value === "refresh") {
    const url = new URL(location.href);
    url.searchParams.set("way", "refresh");
    location.assign(url);
  } else follow(way.value);
});
choice.hidden = false;
document.getElementById("plain").hidden = true;
status.textContent = "Connecting.";
if (navigator.clipboard) document.querySelectorAll(".sample").forEach(copyable);
follow(way.value);
