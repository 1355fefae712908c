/**
 * Elements that show a topic: `data-topic`, `data-part`, `data-attr`, `data-html`, and <live-value>.
 * Only what differs is written; `aria-live` and all else stay as the author has put them.
 */

import { foreign, settable } from "./attributes.js";
import { Hexcast } from "./client.js";
import { pick, text } from "./values.js";

const MARKED = "[data-topic],live-value[topic]";
let bound = false; // whether the page has been bound
let warned = "";

const find = (node) => [
  ...node.matches?.(MARKED) ? [node] : [], ...node.querySelectorAll?.(MARKED) ?? [],
];

const wish = (element) => ({
  topic: element.getAttribute("topic"), part: element.getAttribute("part"), ...element.dataset,
});

/** The text of a value or a part of it; undefined where there is none. */
function words({ op, type, data }, part) {
  const json = /[/+]json/i.test(type ?? "json");
  const value = op == "delete" || !json && typeof data != "string" ? undefined : pick(data, part);
  return value === undefined ? value : text(value);
}

function show(element, shown, record) {
  const { topic, part, attr, html, _first } = shown, tag = element.localName;
  const value = words(record, part), wanted = value ?? _first;
  if (!settable(tag, attr) || attr && value && foreign(attr, value)) {
    if (warned != (warned = `hexcast: ${topic} does not set ${attr ?? "the content"} of ${tag}`)) console.warn(warned);
  } else if (attr) {
    if (wanted == null) element.removeAttribute(attr);
    else if (element.getAttribute(attr) != wanted) element.setAttribute(attr, wanted);
  } else if (typeof wanted != "string") element.replaceChildren(...wanted);
  else if (value != null && html != null && /^text\/html\b/i.test(record.type)) {
    if (element.innerHTML != value) element.innerHTML = value;
  } else if (element.textContent != wanted || element.firstElementChild) {
    // A text is changed in place: nothing is put in or taken out, a selection stays.
    const { firstChild } = element;
    if (firstChild && firstChild == element.lastChild && firstChild.nodeType == 3) firstChild.data = wanted;
    else element.textContent = wanted;
  }
}

/** Keeps the elements under `root` that show a topic current, those that come later too. */
export function bind(root = document, { url = new URL("topics", import.meta.url), ...options } = {}) {
  bound = true;
  const known = new WeakMap(); // element: what it shows, and what the author wrote
  const places = new Map(); // topic: its elements
  const take = (element, filled) => {
    const shown = wish(element), { topic, attr } = shown, had = known.get(element);
    // What the server has filled in is not the author's own.
    shown._first = had && had.attr == attr ? had._first : filled ? ""
      : attr ? element.getAttribute(attr) : element.firstElementChild ? [...element.childNodes] : element.textContent;
    known.set(element, shown);
    places.has(topic) || places.set(topic, new Set());
    places.get(topic).add(element);
    return shown;
  };
  for (const element of find(root)) take(element, options.since);
  const live = new Hexcast(url, { exact: true, delta: !options.since, ...options, topics: [...places.keys()] });
  live.addEventListener("record", ({ detail }) => {
    for (const element of places.get(detail.topic) ?? []) show(element, known.get(element), detail);
  });
  new MutationObserver((changes, observer) => {
    if (live._over) return observer.disconnect();
    const touched = new Set(changes.flatMap(({ type, target, addedNodes, removedNodes }) =>
      type == "attributes" ? [target, ...find(target)] : [...addedNodes, ...removedNodes].flatMap(find)));
    const fresh = new Set();
    for (const element of touched) places.get(known.get(element)?.topic)?.delete(element);
    for (const element of touched) if (root.contains(element) && element.matches(MARKED)) {
      const shown = take(element), record = live._held.get(shown.topic);
      if (record) show(element, shown, record);
      else fresh.add(shown.topic);
    }
    const stale = [...places.keys()].filter((topic) => !places.get(topic).size && places.delete(topic));
    if (fresh.size) live.add(...fresh);
    if (stale.length) live.drop(...stale);
  }).observe(root, {
    subtree: true, childList: true,
    attributeFilter: ["data-topic", "data-part", "data-attr", "data-html", "topic", "part"],
  });
  live._root = root;
  return live;
}

globalThis.customElements?.define("live-value", class extends HTMLElement {
  connectedCallback() { queueMicrotask(() => bound || bind()); } // a page that binds by itself comes first
});
