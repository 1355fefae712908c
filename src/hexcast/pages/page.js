// Keeps a live page current: its server named the cursor that its values are from.
import { bind } from "./hexcast.js";

const since = document.querySelector('meta[name="hexcast-cursor"]').content;
const live = bind(document, { url: new URL("topics", import.meta.url), since });

// An element that was filled in by the server shows its author's content again when its topic is
// deleted. Only the server knows that: it is taken from the page as it is now.
let asked;

live.addEventListener("record", ({ detail }) => {
  if (detail.op == "delete") restore(detail.topic).catch((error) => console.warn("hexcast:", error));
});

async function restore(topic) {
  asked ??= fetch(location.href, { cache: "no-cache", headers: { accept: "text/html" } })
    .then((response) => response.text())
    .finally(() => { asked = undefined; });
  const page = new DOMParser().parseFromString(await asked, "text/html");
  if (live.record(topic)?.op != "delete") return;
  const of = (root) => [...root.querySelectorAll("[data-topic]")].filter((e) => e.dataset.topic == topic);
  const now = of(document);
  for (const [n, element] of of(page).entries()) {
    const name = element.dataset.attr;
    if (!name) now[n]?.replaceChildren(...element.childNodes);
    else if (element.hasAttribute(name)) now[n]?.setAttribute(name, element.getAttribute(name));
    else now[n]?.removeAttribute(name);
  }
}
