/** The room in a browser with JavaScript: follows it over the way that is chosen, and speaks. */

import { Socket } from "./socket.js";

const { hexcast, cursor } = document.body.dataset;
const { Hexcast } = await import(new URL("/hexcast.js", hexcast));
const [list, frame, way, state, fault] =
  ["messages", "frame", "way", "state", "fault"].map((id) => document.getElementById(id));
const form = document.querySelector("form");
const MOST = 500; // messages kept on the page
let live, since = cursor;

/** Shows one message, and follows to the end who is there already. */
function show(record) {
  since = record.id ?? since;
  const said = record.op === "gap" ? { text: "Some messages are no longer held." } : record.data;
  if (typeof said?.text !== "string") return;
  const line = document.createElement("li"), name = document.createElement("b");
  const text = document.createElement(said.name === undefined ? "em" : "span");
  name.textContent = said.name ?? "";
  text.textContent = said.text;
  line.append(name, " ", text);
  if (record.id) line.id = record.id;
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(line);
  while (list.children.length > MOST) list.firstChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

/** Goes on, from where the page is, over another way. */
async function follow(chosen) {
  live?.close();
  const refresh = chosen === "refresh";
  list.hidden = refresh;
  frame.hidden = !refresh;
  if (refresh) {
    frame.src = "messages";
    state.textContent = "a frame that refreshes itself";
  }
  if (chosen === "websocket") {
    const url = new URL("/topics", hexcast.replace(/^http/, "ws"));
    const mine = live = new Socket(url, "chat/lobby", {
      since,
      show: (record) => mine === live && show(record),
      tell: (said) => { state.textContent = said; },
    });
    return;
  }
  // For page refresh it only speaks; what was said meanwhile comes when another way is chosen.
  const mine = live = new Hexcast(new URL("/topics", hexcast), {
    topics: refresh ? [] : ["chat/lobby"], ways: refresh ? ["poll"] : [chosen], since, every: 2000,
  });
  if (refresh) return;
  mine.addEventListener("state", ({ detail }) => {
    if (mine === live) state.textContent = detail;
  });
  try {
    for await (const record of mine) {
      if (mine !== live) return;
      show(record);
    }
  } catch (error) {
    if (mine === live) fault.textContent = error.message;
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = form.elements.name.value.trim(), text = form.elements.text.value.trim();
  fault.textContent = "";
  try {
    await live.post("chat/lobby", { name, text });
    form.elements.text.value = "";
    form.elements.text.focus();
  } catch (error) {
    fault.textContent = `not said: ${error.message}`;
  }
});

for (const element of document.querySelectorAll(".scripted")) element.hidden = false;
list.scrollTop = list.scrollHeight;
way.value = new URLSearchParams(location.search).get("way") ?? "websocket";
way.addEventListener("change", () => follow(way.value));
follow(way.value);
