/**
 * Elements that show a topic: `data-topic`, `data-part`, `data-attr`, `data-html`, and <live-value>.
 * Only what differs is written; `aria-live` and all else stay as the author has put them.
 */

import { foreign, settable } from "./attributes.js";
import { Hexcast } from "./client.js";
import { BAD, pick, text } from "./values.js";

const MARKED = "[data-topic],live-value[topic]";
let bound = false; // whether the page has been bound
let warned = "";

const find = (node) => [node, ...node.querySelectorAll?.(MARKED) ?? []].filter((each) => each.matches?.(MARKED));

const wish = (element) => ({
  topic: element.getAttribute("topic"), part: element.getAttribute("part"), ...element.dataset,
});

const warn = (what) => {
  if (warned != (warned = "hexcast: " + what)) console.warn(warned);
};

/** The text of a value or a part of it; undefined where there is none. */
function words({ op, type, data }, part) {
  const json = /[/+]json/i.test(type ?? "json");
  const value = op == "delete" || !json && typeof data != "string" ? undefined : pick(data, part);
  return value === undefined ? value : text(value);
}

function show(element, shown, record) {
  const { topic, part, attr, html, _first } = shown, tag = element.localName;
  const value = words(record, part), wanted = value ?? _first;
  // The function that gives it is asked once, until there is a value again.
  if (shown._own = wanted?.call && (shown._own || wanted(element, () => shown._own))) return;
  if (!settable(tag, attr) || attr && value && foreign(attr, value))
    warn(`${topic} does not set ${attr ?? "the content"} of ${tag}`);
  else if (attr) {
    if (wanted == null) element.removeAttribute(attr);
    else if (element.getAttribute(attr) != wanted) element.setAttribute(attr, wanted);
  } else if (typeof wanted != "string") element.replaceChildren(...wanted ?? "");
  else if (value != null && html != null && /^text\/html\b/i.test(record.type)) {
    if (element.innerHTML != value) element.innerHTML = value;
  } else if (element.textContent != wanted || element.firstElementChild) {
    // A text is changed in place: nothing is put in or taken out, a selection stays.
    const { firstChild, lastChild } = element;
    (firstChild?.nodeType == 3 && firstChild == lastChild ? firstChild : element).textContent = wanted;
  }
}

/** Keeps the elements under `root` that show a topic current, those that come later too. */
export function bind(root = document, { url = new URL("topics", import.meta.url), ...options } = {}) {
  bound = true;
  const known = new WeakMap(); // element: what it shows, and what the author wrote
  const places = new Map(); // topic: its elements
  const take = (element, filled) => {
    const shown = wish(element), { topic, attr } = shown, had = known.get(element);
    // One name that is no topic would have all the others refused with it.
    if (BAD.test(topic) || new Blob([topic]).size > 255) return warn(topic + " is no topic");
    // Of a page that the server has filled in only the server knows what the author wrote.
    shown._first = had && had.attr == attr ? had._first : filled ? options.own
      : attr ? element.getAttribute(attr) : element.firstElementChild ? [...element.childNodes] : element.textContent;
    known.set(element, shown);
    places.set(topic, (places.get(topic) ?? new Set()).add(element));
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
      const shown = take(element), record = live._held.get(shown?.topic);
      if (record) show(element, shown, record);
      else if (shown) fresh.add(shown.topic);
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
