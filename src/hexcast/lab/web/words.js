// What the lab says of each way beside its figures (shared with the terminal), and how figures look.

export const WAYS = await (await fetch(new URL("words.json", import.meta.url))).json();

export const SENDS = [
  { send: "page", name: "the page" },
  { send: "whole", name: "the whole value" },
  { send: "change", name: "only the change" },
];

export function ms(value) {
  if (value === null || value === undefined) return "–";
  if (value < 10) return `${value.toFixed(1)} ms`;
  if (value < 1000) return `${Math.round(value)} ms`;
  return `${(value / 1000).toFixed(value < 10000 ? 2 : 1)} s`;
}

export function bytes(value) {
  if (value === null || value === undefined) return "–";
  if (value < 1000) return `${Math.round(value)} B`;
  if (value < 1e6) return `${(value / 1000).toFixed(value < 1e4 ? 1 : 0)} kB`;
  return `${(value / 1e6).toFixed(value < 1e7 ? 1 : 0)} MB`;
}

export function count(value) {
  if (value === null || value === undefined) return "–";
  if (value > 0 && value < 10 && value !== Math.round(value)) return value.toFixed(value < 1 ? 2 : 1);
  return Math.round(value).toLocaleString("en");
}
