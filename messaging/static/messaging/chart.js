// Counts a second -> bars of the last minutes, drawn by uPlot. Without uPlot the page lives on, just without bars.

import { $, el } from "./dom.js";
import { clock, count, messages, rate } from "./format.js";
import { perSecond } from "./rates.js";

const LONGEST = 300; // seconds
const BAR = 6; // pixels a second

export class RateChart {
  #box = $("rate-chart");
  #tip = el("div.chart-tip", { hidden: true });
  #plot = null;
  #options;

  constructor(options) {
    this.#options = options;
    this.#start().catch((error) => console.warn("No rate chart:", error));
  }

  async #start() {
    const { default: UPlot } = await import("./vendor/uplot/uPlot.esm.js");
    this.#box.append(this.#tip);
    const make = () => {
      this.#plot?.destroy();
      this.#plot = new UPlot(this.#settings(UPlot), this.#data ?? [[], []], this.#box);
    };
    make();
    document.addEventListener("theme", make);
    new ResizeObserver(() => {
      this.#plot.setSize(this.#size());
      if (this.#latest) this.update(...this.#latest);
    }).observe(this.#box);
  }

  #data = null;
  #latest = null;

  #size() {
    return { width: this.#box.clientWidth, height: this.#box.clientHeight };
  }

  #settings(UPlot) {
    const fill = this.#colour("--accent");
    const text = this.#colour("--text-3");
    const line = this.#colour("--line");
    const low = this.#box.clientHeight < 50;
    return {
      ...this.#size(),
      padding: [6, 26, low ? 2 : 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { setScale: false }, points: { show: false } },
      scales: { x: { time: true }, y: { range: (plot, low, high) => [0, Math.max(4, high * 1.1)] } },
      series: [{}, { stroke: "transparent", fill, points: { show: false }, paths: UPlot.paths.bars({ size: [0.72, 12], align: 1, radius: 0.2 }) }],
      axes: [
        { show: !low, stroke: text, font: "11px system-ui", size: 18, gap: 2, space: 110, grid: { show: false }, ticks: { show: false }, values: (plot, ticks) => ticks.map((tick) => this.#label(tick)) },
        { stroke: text, font: "11px system-ui", size: 36, gap: 4, space: 20, grid: { stroke: line, width: 1 }, ticks: { show: false }, values: (plot, ticks) => ticks.map((tick) => (tick > 0 && Number.isInteger(tick) ? count(tick) : "")) },
      ],
      hooks: { setCursor: [(plot) => this.#point(plot)] },
    };
  }

  #label(second) {
    return clock(second * 1000, { utc: this.#options.utc, now: second * 1000 }).time.slice(0, second % 60 ? 8 : 5);
  }

  /** A token's colour as the canvas understands it. */
  #colour(token) {
    const probe = el("i", {});
    probe.style.color = `var(${token})`;
    this.#box.append(probe);
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
  }

  #point(plot) {
    const { idx, left } = plot.cursor;
    const value = idx === null || idx === undefined || left < 0 ? null : plot.data[1][idx];
    this.#tip.hidden = value === null || value === undefined;
    if (this.#tip.hidden) return;
    this.#tip.textContent = `${this.#label(plot.data[0][idx])}  ${messages(value)}`;
    const x = Math.min(left + 50, this.#box.clientWidth - this.#tip.offsetWidth - 4);
    this.#tip.style.transform = `translateX(${Math.round(x)}px)`;
  }

  /** Once a second: the bars, and the numbers beside them. */
  update(rates, now) {
    this.#latest = [rates, now];
    const last = Math.floor(now / 1000) - 1;
    const length = Math.max(40, Math.min(LONGEST, Math.round((this.#box.clientWidth - 40) / BAR)));
    const counts = rates.all.series(last, length);
    const seconds = counts.map((_, at) => last - length + 1 + at);
    this.#data = [seconds, counts.map((n, at) => (seconds[at] < rates.since ? null : n))];
    this.#plot?.setData(this.#data);
    $("rate-now").textContent = rate(perSecond(rates.all, now));
    const peak = Math.max(0, ...this.#data[1]);
    $("rate-peak").textContent = peak ? `peak ${count(peak)}` : "";
  }
}
