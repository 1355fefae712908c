// The lab: six panels about the line of what the server publishes.

import { Panel } from "./panel.js";
import { LinePlot } from "./plot.js";
import { Session, topicUrl } from "./session.js";
import { COLUMNS, csv, fill, markdown } from "./table.js";
import { Ledger } from "./tally.js";
import { SENDS, WAYS, ms } from "./words.js";

const $ = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
const SCENE_MS = 1000 * (Number(asked.get("scene")) || 20);
const CUT_SECONDS = 3;
const SLOW_SECONDS = 6;
const RATES = [0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200];
const SIZES = [200, 1000, 4000, 12000, 50000, 250000];
const calm = matchMedia("(prefers-reduced-motion: reduce)");

const ledger = new Ledger();
const session = new Session({
  settings: (told) => settled(told),
  figures: (told) => heard(told),
  published: (record) => watched(record),
  anew: () => log("The server was started anew: the run goes on under its old name."),
  pushCursor: () => panels.find((panel) => panel.way === "push")?.newest ?? "",
  up: () => { $("connection").hidden = true; },
  down: () => { $("connection").hidden = false; },
});
let every = Math.min(30, Math.max(1, Number(asked.get("every")) || 2));
let panels = [];
let line = null;
let settings = null;
let marked = false; // the tab was hidden while this was measured

/** What a way is to ask for, as the settings are. */
function ask(way) {
  const stream = settings.kind === "stream";
  const sends = settings.own ? $("own-delta").checked ? "change" : "whole" : settings.send;
  const topic = way === "refresh" ? settings.page : settings.topic;
  const client = `${settings.run}.${way}`;
  return {
    every, stream, sends,
    delta: !stream && sends === "change" && way !== "refresh",
    url: (params) => topicUrl(topic, { ...params, client }),
  };
}

const lab = { session, ledger, ask };

// What the server tells

function settled(told) {
  const before = settings;
  settings = told;
  for (const input of document.querySelectorAll("input[name=send]")) {
    input.checked = input.value === told.send;
  }
  $("rate").value = String(nearest(RATES, told.rate));
  $("rate-is").textContent = told.rate < 1 ? `one in ${Math.round(1 / told.rate)} s` : `${+told.rate.toFixed(1)} a second`;
  $("size").value = String(nearest(SIZES, told.size));
  $("size-is").textContent = told.size < 1000 ? `${told.size} B` : `${Math.round(told.size / 1000)} kB`;
  $("every-is").textContent = `${every} s`;
  $("kind").checked = told.kind === "stream";
  $("topic-is").textContent = told.topic;
  $("restart").disabled = !told.restarts;
  for (const part of document.querySelectorAll("[data-own]")) {
    part.hidden = (part.dataset.own === "yes") !== told.own;
  }
  $("costs").textContent = `${told.send_us} µs a send, ${told.receive_us} µs a receive`;
  const changed = before && ["topic", "send", "kind"].some((name) => before[name] !== told[name]);
  if (changed && !document.hidden) for (const panel of panels) panel.start();
}

function nearest(list, value) {
  return list.reduce((best, v, i) => (Math.abs(Math.log(v / value)) < Math.abs(Math.log(list[best] / value)) ? i : best), 0);
}

function heard(told) {
  for (const [, at, value, ids] of told.published) ledger.add(at, value, ids);
  for (const panel of panels) {
    if (panel.way === "push" && !document.hidden) panel.pushed(told.pushed);
    panel.tally.settle();
    panel.figures(told.clients[panel.way], told.t);
  }
}

/** A record of one's own topic, which nobody here has published. */
function watched(record) {
  if (record.op === "delete") return;
  const number = typeof record.data === "number" ? record.data : null;
  ledger.add(Date.parse(record.time), number, [record.id]);
  for (const panel of panels) panel.tally.settle();
}

// Drawing

let drawn = 0, shown = 0;

function draw(at) {
  requestAnimationFrame(draw);
  if (!settings || document.hidden || at - drawn < (calm.matches ? 1000 : 80)) return;
  drawn = at;
  const now = session.now();
  const most = panels.map((panel) => panel.plot.points(panel.tally, now));
  const top = Math.max(0.1, ...most) * 1.08;
  for (const panel of panels) panel.plot.draw(top);
  line.draw(ledger, now);
  if (at - shown < 500) return;
  shown = at;
  for (const [i, panel] of panels.entries()) {
    panel.show(now);
    panel.parts.plot.setAttribute("aria-label",
      `Age of what ${panel.words.name} shows, last 20 seconds: at most ${ms(most[i] * 1000)}`);
  }
  $("published").textContent = `${ledger.end} published`;
  const doubt = session.clock.doubt;
  $("doubt").textContent = Number.isFinite(doubt) ? `± ${ms(doubt)}` : "not known yet";
  $("marked").hidden = !marked;
  $("copy").disabled = $("csv").disabled = marked;
  fill($("table"), measured());
}

function measured() {
  return Object.fromEntries(panels.map((panel) => [panel.way, panel.measured()]));
}

function note() {
  const s = settings;
  const what = s.own ? `topic ${s.page}` : `${+s.rate.toFixed(2)} changes a second of ${s.size} bytes, asked every ${every} s`;
  return `${what}; clock ± ${ms(session.clock.doubt)}`;
}

// The scene

let scene = 0;

function play() {
  stopScene();
  let step = 0;
  const next = () => {
    if (step >= SENDS.length) { stopScene(); return; }
    change({ send: SENDS[step].send });
    step += 1;
    scene = setTimeout(next, SCENE_MS / SENDS.length);
  };
  next();
  $("scene").setAttribute("aria-pressed", "true");
}

function stopScene() {
  clearTimeout(scene);
  scene = 0;
  $("scene").setAttribute("aria-pressed", "false");
}

// Controls

async function change(wish) {
  try { await session.change(wish); } catch (error) { log(`That was refused: ${error.message}`); }
}

function clear() {
  for (const panel of panels) panel.clear();
  marked = false;
}

function log(words) {
  $("log").textContent = words;
}

async function harm(what, more, words) {
  const way = $("which").value;
  const whose = way ? WAYS.find((w) => w.way === way).name : "all six";
  try {
    await session.harm({ what, way, ...more });
    log(`${words} (${whose}).`);
  } catch (error) { log(`That was refused: ${error.message}`); }
}

function wire() {
  for (const input of document.querySelectorAll("input[name=send]")) {
    input.addEventListener("change", () => { stopScene(); change({ send: input.value }); });
  }
  const slider = (id, list, name) => {
    $(id).max = String(list.length - 1);
    $(id).addEventListener("input", () => { clear(); change({ [name]: list[Number($(id).value)] }); });
  };
  slider("rate", RATES, "rate");
  slider("size", SIZES, "size");
  $("every").value = String(every);
  $("every").addEventListener("input", () => {
    every = Number($("every").value);
    $("every-is").textContent = `${every} s`;
    clear();
    for (const panel of panels) if (["poll", "refresh"].includes(panel.way)) panel.start();
  });
  $("kind").addEventListener("change", () => {
    clear();
    change({ kind: $("kind").checked ? "stream" : "state" });
  });
  $("own-delta").addEventListener("change", () => { for (const panel of panels) panel.start(); });
  $("scene").addEventListener("click", () => (scene ? stopScene() : (clear(), play())));
  $("again").addEventListener("click", () => { clear(); log("Counting begins anew."); });
  $("cut").addEventListener("click", () => harm("cut", { seconds: CUT_SECONDS },
    `Cut: connections are broken, and refused for ${CUT_SECONDS} s`));
  $("slow").addEventListener("click", () => harm("slow", { seconds: SLOW_SECONDS },
    `Slow readers: a quarter of what comes, for ${SLOW_SECONDS} s`));
  $("proxy").addEventListener("click", () => {
    clear();
    harm("proxy", {}, "A proxy that gathers 16 kB before it passes anything on, and no upgrades");
  });
  $("heal").addEventListener("click", () => { clear(); harm("heal", {}, "All is well again"); });
  $("restart").addEventListener("click", async () => {
    try {
      await session.restart();
      log("The server stops and starts anew. Its log is in memory, so that is a new epoch.");
    } catch (error) { log(`That was refused: ${error.message}`); }
  });
  $("copy").addEventListener("click", async () => {
    const words = markdown(measured(), note());
    try {
      await navigator.clipboard.writeText(words);
      log("The table is in the clipboard, as Markdown.");
    } catch { log("The browser does not let this page write to the clipboard."); }
  });
  $("csv").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv(measured(), note())], { type: "text/csv" }));
    link.download = `hexcast-lab-${session.run}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    log("The table was saved as CSV.");
  });
  document.addEventListener("visibilitychange", () => {
    // A hidden tab is throttled by its browser: what it would measure is the throttling.
    if (document.hidden) {
      marked = true;
      for (const panel of panels) panel.pause();
    } else {
      for (const panel of panels) panel.start();
    }
  });
  addEventListener("pagehide", () => session.end());
}

async function begin() {
  for (const words of COLUMNS) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = words;
    $("columns").append(cell);
  }
  for (const { way, name } of WAYS) $("which").add(new Option(name, way));
  wire();
  const wish = { topic: asked.get("topic") ?? "" };
  for (const name of ["rate", "size"]) if (asked.get(name)) wish[name] = Number(asked.get(name));
  for (const name of ["send", "kind"]) if (asked.get(name)) wish[name] = asked.get(name);
  if (wish.size) wish.size = Math.round(wish.size);
  if (!wish.topic && asked.get("scene") !== "off") wish.send ??= "page";
  try {
    await session.begin(wish);
  } catch (error) {
    log(`The server does not begin a run: ${error.message}`);
    return;
  }
  line = new LinePlot($("line"));
  panels = WAYS.map((words) => new Panel(words, lab, $("panel"), $("panels")));
  window.lab = { panels, session, ledger, measured };
  if (!document.hidden) for (const panel of panels) panel.start();
  requestAnimationFrame(draw);
  if (!wish.topic && asked.get("scene") !== "off") play();
}

begin();
