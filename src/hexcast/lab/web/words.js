// What the lab says of each way beside its figures.

export const WAYS = [
  {
    way: "refresh", name: "Page refresh", mark: "M12 4a8 8 0 1 0 8 8M12 1v6l4-3z",
    proxies: "yes", script: "yes", both: "by forms",
    choose: "For pages that must work without JavaScript, or where some seconds of age do no harm.",
    said: "Simplest, but rough on people.",
  },
  {
    way: "poll", name: "Polling", mark: "M4 8h16M4 8l4-4M4 8l4 4M20 17H4M20 17l-4-4M20 17l-4 4",
    proxies: "yes", script: "no", both: "by POST",
    choose: "When changes come about as often as you would ask, or caches should answer.",
    said: "Asks in vain and loads the server.",
  },
  {
    way: "long-poll", name: "Long polling", mark: "M7 3h10M7 21h10M8 3c0 9 8 9 8 18M16 3c0 9-8 9-8 18",
    proxies: "yes", script: "no", both: "by POST",
    choose: "When something on the way blocks streams and age still matters.",
    said: "Better than polling, but complex, and holds resources.",
  },
  {
    way: "sse", name: "Server-Sent Events", mark: "M4 12h13M13 7l5 5-5 5M3 5v14",
    proxies: "if they do not buffer", script: "no", both: "by POST",
    choose: "For pages that listen: the browser itself comes back with its cursor.",
    said: "Simple, and everywhere.",
  },
  {
    way: "websocket", name: "WebSocket", mark: "M3 9h17l-4-5M21 15H4l4 5",
    proxies: "if they pass upgrades", script: "no", both: "yes",
    choose: "When the page sends as often as it listens, or takes topics up and drops them.",
    said: "Instant, and two-way.",
  },
  {
    way: "push", name: "HTTP/2 push", mark: "M3 12h6M9 12l6-7h6M9 12l6 7h6M9 12h12",
    proxies: "HTTP/2 end to end only", script: "no", both: "by POST",
    choose: "Between programs over HTTP/2; browsers no longer take it.",
    said: "Sends ahead, but needs HTTP/2 and TLS.",
  },
];

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
