// Counts a second -> bars of the last minutes, one colour a channel, drawn by uPlot. Without uPlot the page lives on, just
// without bars.

import { $, el, hue } from "./dom.js";
import { clock, count, messages, rate } from "./format.js";

const LONGEST = 300; // seconds
const BAR = 6; // pixels a second
const HATCH = 7; // pixels between the lines over what is not known
const MOST = 6; // channels with a colour of their own; the others together are grey

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
    this.#make = () => {
      this.#plot?.destroy();
      this.#plot = new UPlot(this.#settings(UPlot), this.#data ?? [[], ...this.#names.map(() => []), []], this.#box);
    };
    this.#make();
    document.addEventListener("theme", this.#make);
    new ResizeObserver(() => {
      this.#plot.setSize(this.#size());
      if (this.#latest) this.update(...this.#latest);
    }).observe(this.#box);
  }

  #make = null;
  #data = null;
  #counts = []; // of each name, then of the others
  #names = [];
  #latest = null;

  #size() {
    return { width: this.#box.clientWidth, height: this.#box.clientHeight };
  }

  #settings(UPlot) {
    const bars = UPlot.paths.bars({ size: [0.72, 12], align: 1, radius: 0.2 });
    // Behind each other: the whole height first, in the colour of the topmost, then less and less.
    const one = (fill) => ({ stroke: "transparent", fill, points: { show: false }, paths: bars });
    const text = this.#colour("--text-3");
    const line = this.#colour("--line");
    const low = this.#box.clientHeight < 50;
    return {
      ...this.#size(),
      padding: [6, 26, low ? 2 : 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { setScale: false }, points: { show: false } },
      scales: { x: { time: true }, y: { range: (plot, low, high) => [0, Math.max(4, high * 1.1)] } },
      series: [{}, one(this.#names.length ? this.#colour("--text-3") : this.#colour("--accent")), ...this.#names.map((name) => one(this.#colour("--hue", hue(name))))],
      axes: [
        { show: !low, stroke: text, font: "11px system-ui", size: 18, gap: 2, space: 110, grid: { show: false }, ticks: { show: false }, values: (plot, ticks) => ticks.map((tick) => this.#label(tick)) },
        { stroke: text, font: "11px system-ui", size: 36, gap: 4, space: 20, grid: { stroke: line, width: 1 }, ticks: { show: false }, values: (plot, ticks) => ticks.map((tick) => (tick > 0 && Number.isInteger(tick) ? count(tick) : "")) },
      ],
      hooks: { drawClear: [(plot) => this.#hatch(plot)], setCursor: [(plot) => this.#point(plot)] },
    };
  }

  #label(second) {
    return clock(second * 1000, { utc: this.#options.utc, now: second * 1000 }).time.slice(0, second % 60 ? 8 : 5);
  }

  /** A token's colour as the canvas understands it. */
  #colour(token, scope = "") {
    const probe = el("i", { class: scope });
    probe.style.color = `var(${token})`;
    this.#box.append(probe);
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
  }

  /** Hatches the seconds of which the page has not loaded everything. */
  #hatch(plot) {
    const { ctx, bbox, scales } = plot;
    const until = Math.min(this.#latest?.[0].since ?? -Infinity, scales.x.max);
    if (!(until > scales.x.min)) return;
    const { left, top, height } = bbox;
    const right = plot.valToPos(until, "x", true);
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, right - left, height);
    ctx.clip();
    ctx.beginPath();
    for (let x = left - height; x < right; x += HATCH * devicePixelRatio) {
      ctx.moveTo(x, top + height);
      ctx.lineTo(x + height, top);
    }
    ctx.strokeStyle = this.#colour("--line");
    ctx.lineWidth = devicePixelRatio;
    ctx.stroke();
    ctx.restore();
  }

  #point(plot) {
    const { idx, left } = plot.cursor;
    const value = idx === null || idx === undefined || left < 0 ? undefined : plot.data[1][idx];
    this.#tip.hidden = value === undefined;
    if (this.#tip.hidden) return;
    const lines = this.#names.map((name, at) => [this.#counts[at][idx], name]);
    lines.push([this.#counts.at(-1)?.[idx] ?? 0, "others"]);
    const listed = value === null ? [] : lines.filter(([n]) => n).sort(([a], [b]) => b - a);
    const total = value === null ? "not known: from before the messages on this page" : messages(value);
    this.#tip.textContent = [`${this.#label(plot.data[0][idx])}  ${total}`, ...listed.map(([n, name]) => `${count(n)}  ${name}`)].join("\n");
    const x = Math.min(left + 50, this.#box.clientWidth - this.#tip.offsetWidth - 4);
    this.#tip.style.transform = `translateX(${Math.round(x)}px)`;
  }

  /** Once a second: the bars, and the numbers beside them. */
  update(rates, now) {
    this.#latest = [rates, now];
    const last = Math.floor(now / 1000) - 1;
    const length = Math.max(40, Math.min(LONGEST, Math.round((this.#box.clientWidth - 40) / BAR)));
    const counts = rates.series(rates.all, last, length);
    const seconds = counts.map((_, at) => last - length + 1 + at);
    const busiest = [...rates.channels].map(([name, ring]) => [name, ring.series(last, length)]);
    for (const one of busiest) one.push(one[1].reduce((sum, n) => sum + n, 0));
    busiest.sort((a, b) => b[2] - a[2]);
    const own = busiest.slice(0, MOST).filter(([, , sum]) => sum).sort(([a], [b]) => (a < b ? -1 : 1));
    const names = own.map(([name]) => name);
    const rest = counts.map((n, at) => own.reduce((left, [, each]) => left - each[at], n ?? 0));
    this.#counts = [...own.map(([, each]) => each), rest];
    const stacked = [];
    let height = counts;
    for (const each of [rest, ...this.#counts.slice(0, -1)]) {
      stacked.push(height);
      height = height.map((n, at) => n === null ? null : n - each[at]);
    }
    this.#data = [seconds, ...stacked];
    const changed = names.join("\n") !== this.#names.join("\n");
    this.#names = names;
    if (changed) this.#make?.();
    else this.#plot?.setData(this.#data);
    $("rate-now").textContent = rate(rates.speed(rates.all, now));
    const peak = Math.max(0, ...this.#data[1]);
    $("rate-peak").textContent = peak ? `peak ${count(peak)}` : "";
  }
}
