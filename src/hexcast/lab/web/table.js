// The table at the foot: what was measured in this run, beside what is commonly said. Pure but for
// `fill`, which writes it into the page.

import { SENDS, WAYS, bytes, count, ms } from "./words.js";

export const COLUMNS = [
  "Way", "Age p50", "Age p99", "Requests a change", "Bytes a change: the page", "the whole value",
  "only the change", "CPU a change", "Memory a client", "Through proxies", "Without JavaScript",
  "Two-way", "Choose it", "What is commonly said",
];

/** The rows as text; `measured` gives for each way what this run has. */
export function rows(measured) {
  return WAYS.map((words) => {
    const m = measured[words.way];
    return [
      words.name, ms(m.p50), ms(m.p99), count(m.requests),
      ...SENDS.map(({ send }) => bytes(m.bytes[send])),
      m.cpu === null ? "–" : `${count(m.cpu)} µs`,
      m.memory ? bytes(m.memory) : "0 at rest",
      m.proxied || words.proxies, words.script, words.both, words.choose, words.said,
    ];
  });
}

export function fill(table, measured) {
  const body = table.tBodies[0];
  rows(measured).forEach((cells, i) => {
    const row = body.rows[i] ?? body.insertRow();
    cells.forEach((text, j) => {
      let cell = row.cells[j];
      if (!cell) {
        cell = document.createElement(j ? "td" : "th");
        if (!j) cell.scope = "row";
        if (j >= 1 && j <= 8) cell.className = "n";
        if (j >= 12) cell.className = "words";
        row.append(cell);
      }
      if (cell.textContent !== text) cell.textContent = text;
    });
  });
}

export function markdown(measured, note) {
  const line = (cells) => `| ${cells.map((c) => c.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(COLUMNS), line(COLUMNS.map(() => "---")), ...rows(measured).map(line), "", note, ""]
    .join("\n");
}

/** As CSV (RFC 4180): figures as plain numbers, ages in ms, CPU in µs. */
export function csv(measured, note) {
  const head = [
    "way", "age_p50_ms", "age_p99_ms", "requests_a_change", "bytes_page", "bytes_whole",
    "bytes_change", "cpu_us_a_change", "memory_bytes", "replayed", "folded", "lost", "twice",
    "gaps", "reconnects", "note",
  ];
  const number = (value) => (value === null || value === undefined ? "" : String(+value.toFixed(3)));
  const lines = WAYS.map(({ way }) => {
    const m = measured[way], c = m.counts;
    return [
      way, number(m.p50), number(m.p99), number(m.requests),
      ...SENDS.map(({ send }) => number(m.bytes[send])), number(m.cpu), number(m.memory),
      ...[c.replayed, c.folded, c.lost, c.twice, c.gaps, c.reconnects].map(String), note,
    ];
  });
  const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return [head, ...lines].map((cells) => cells.map(cell).join(",")).join("\r\n") + "\r\n";
}
