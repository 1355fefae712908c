// The plots: what was published, and for each way the age of what is on the screen. Drawn by uPlot.

/* global uPlot */
export const WINDOW_MS = 20000;
const POINTS = 320;

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function options(box, series, extra) {
  const axis = {
    stroke: () => color("--soft"), font: "11px system-ui", labelFont: "11px system-ui",
    grid: { stroke: () => color("--grid"), width: 1 }, ticks: { show: false },
  };
  return {
    width: box.clientWidth, height: box.clientHeight,
    padding: [8, 18, 0, 0],
    cursor: { show: false }, legend: { show: false }, select: { show: false },
    scales: { x: { time: false, range: [-WINDOW_MS / 1000, 0] }, ...extra.scales },
    axes: [
      { ...axis, size: 22, values: (_, ticks) => ticks.map((t) => (t ? `${t} s` : "now")) },
      { ...axis, size: 42, ...extra.y },
    ],
    series: [{}, ...series],
  };
}

/** A plot in a box, redrawn when the box or the colours change. */
class Plot {
  constructor(box, series, extra) {
    this.box = box;
    this.plot = new uPlot(options(box, series, extra), [[], []], box);
    new ResizeObserver(() => {
      const { clientWidth: width, clientHeight: height } = box;
      if (width && height) this.plot.setSize({ width, height });
    }).observe(box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.plot.redraw());
  }
}

export class AgePlot extends Plot {
  constructor(box) {
    super(box, [{
      stroke: () => color("--mark"), width: 2, points: { show: false },
      fill: () => color("--wash"), spanGaps: false,
    }], {
      scales: { y: { range: (_, low, high) => [0, Math.max(this.top ?? 0.1, 0.1)] } },
      y: { values: (_, ticks) => ticks.map((t) => `${+t.toFixed(2)} s`) },
    });
  }

  /** The points of a tally up to `now`; the highest of them is told. */
  points(tally, now) {
    const xs = [], ys = [];
    let most = 0;
    for (let i = 0; i <= POINTS; i += 1) {
      const back = WINDOW_MS * (1 - i / POINTS);
      const age = tally.ageAt(now - back);
      xs.push(-back / 1000);
      ys.push(age === null ? null : age / 1000);
      if (age > most) most = age;
    }
    this.data = [xs, ys];
    return most / 1000;
  }

  draw(top) {
    this.top = top;
    this.plot.setData(this.data);
  }
}

export class LinePlot extends Plot {
  constructor(box) {
    super(box, [{
      stroke: () => color("--ink"), width: 2, paths: uPlot.paths.stepped({ align: 1 }),
      points: { show: true, size: 4, fill: () => color("--ink") },
    }], { scales: { y: { range: (_, low, high) => range(low, high) } }, y: {} });
  }

  draw(ledger, now) {
    const xs = [], ys = [];
    const from = Math.max(ledger.first, ledger.after(now - WINDOW_MS) - 1);
    for (let k = from; k < ledger.end; k += 1) {
      const { at, value } = ledger.entry(k);
      xs.push((at - now) / 1000);
      ys.push(value);
    }
    if (xs.length) { xs.push(0); ys.push(ys.at(-1)); }
    this.plot.setData([xs, ys]);
  }
}

function range(low, high) {
  if (low === null || high === null) return [0, 100];
  const room = Math.max(1, (high - low) * 0.15);
  return [low - room, high + room];
}
