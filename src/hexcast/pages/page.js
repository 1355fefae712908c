// Keeps a live page current: its server named the cursor that its values are from.
import { bind } from "./hexcast.js";

const since = document.querySelector('meta[name="hexcast-cursor"]').content;
const live = bind(document, { url: new URL("topics", import.meta.url), since });

// An element that was filled in by the server shows its author's content again when its topic is
// deleted. Only the server knows that: it is taken from the page as it is now.
const deleted = new Set();
let asked;

live.addEventListener("record", ({ detail: { topic, op } }) => {
  if (op != "delete") deleted.delete(topic);
  else {
    deleted.add(topic);
    restore(topic).catch((error) => console.warn("hexcast:", error));
  }
});

const of = (root, topic) => [...root.querySelectorAll("[data-topic]")].filter((e) => e.dataset.topic == topic);

async function restore(topic) {
  asked ??= fetch(location.href, { cache: "no-cache", headers: { accept: "text/html" } })
    .then((response) => response.text())
    .finally(() => { asked = undefined; });
  const page = new DOMParser().parseFromString(await asked, "text/html");
  if (!deleted.has(topic)) return; // it has begun again meanwhile
  const here = of(document, topic);
  for (const [n, element] of of(page, topic).entries()) {
    const name = element.dataset.attr;
    if (!name) here[n]?.replaceChildren(...element.childNodes);
    else if (element.hasAttribute(name)) here[n]?.setAttribute(name, element.getAttribute(name));
    else here[n]?.removeAttribute(name);
  }
}
