// Keeps a live page current: its server named the cursor that its values are from.
import { bind } from "./hexcast.js";

const MARKED = "[data-topic],live-value[topic]";
const SOON = 50; // ms in which requests for the page become one

const since = document.querySelector('meta[name="hexcast-cursor"]').content;
const live = bind(document, { url: new URL("topics", import.meta.url), since, own: restore });

// What the author wrote in an element, which comes back when there is no value any more, only the
// server knows. And what a gap leaves of a topic is told by no record where nothing is held. Both are
// taken from the page as it is now.
const newest = new WeakMap(); // element: the last request that was made for it
const lost = new Set(); // topics of which a gap was told, and no record since
let asked;

live.addEventListener("record", ({ detail: { topic } }) => lost.delete(topic));
live.addEventListener("gap", ({ detail: { topics } }) => {
  for (const topic of topics) lost.add(topic);
  for (const element of document.querySelectorAll(MARKED)) {
    const topic = topicOf(element);
    if (topics.includes(topic)) restore(element, () => lost.has(topic));
  }
});

const topicOf = (element) => element.dataset.topic ?? element.getAttribute("topic");

/** What an element is to show: those that are to show the same are told apart by their order. */
const wish = (element) => JSON.stringify([
  topicOf(element), ...["part", "attr", "html"].map((name) => element.dataset[name] ?? element.getAttribute(name)),
]);

const alike = (root, wanted) => [...root.querySelectorAll(MARKED)].filter((each) => wish(each) === wanted);

/** The page as it is now, or a little later. */
function ask() {
  return asked ??= new Promise((go) => { setTimeout(go, SOON); }).then(async () => {
    asked = undefined;
    const response = await fetch(location.href, { cache: "no-cache", headers: { accept: "text/html" } });
    return new DOMParser().parseFromString(await response.text(), "text/html");
  });
}

/** Makes an element what it is in the page as it is now, unless it is not `wanted` any more then. */
async function restore(element, wanted) {
  const page = ask();
  newest.set(element, page);
  try {
    const now = await page, key = wish(element);
    if (newest.get(element) !== page || !wanted()) return;
    const own = alike(now, key)[alike(document, key).indexOf(element)];
    if (own) write(element, own, element.dataset.attr);
  } catch (error) {
    console.warn("hexcast:", error);
  }
}

function write(element, own, name) {
  if (!name) {
    if (element.innerHTML !== own.innerHTML)
      element.replaceChildren(...[...own.childNodes].map((node) => document.importNode(node, true)));
  } else if (!own.hasAttribute(name)) element.removeAttribute(name);
  else if (element.getAttribute(name) !== own.getAttribute(name))
    element.setAttribute(name, own.getAttribute(name));
}
