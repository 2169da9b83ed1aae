// One row of the store -> its element: a message with its cells, or a divider.

import { previewOf } from "./code.js";
import { cellsOf } from "./columns.js";
import { el, hue, icon } from "./dom.js";
import { ago, clock, fullTime, size, span } from "./format.js";

const LINE = 360; // characters of a payload on one line
const WRAPPED = 2000;
const LATE = 1000; // ms from the event's time to its entry into the log
const VERY_LATE = 10_000;

export class RowMaker {
  #log;
  #options;
  #now;
  #dividerNode;
  #widest = 0;
  columns = [];

  /** `options`: {wrap, utc}. `now` gives the server's time. `dividerNode(row)` draws a divider. */
  constructor(log, { options, now, dividerNode }) {
    this.#log = log;
    this.#options = options;
    this.#now = now;
    this.#dividerNode = dividerNode;
  }

  /** `fresh`: it has just come; `marked`: it was looked for. */
  make(row, { fresh, marked }) {
    return row.key ? this.#message(row, fresh, marked) : this.#divider(row);
  }

  #message(record, fresh, marked) {
    const { date, time, millis } = clock(record.ms, { utc: this.#options.utc, now: this.#now() });
    if (date) this.#log.classList.add("dated");
    this.#widen(record.channel.length);
    const row = el("div.row", { role: "row", tabindex: "-1" });
    if (fresh) row.classList.add("fresh");
    if (record.error) row.classList.add("unreadable");
    if (marked) row.classList.add("marked");
    row.record = record;
    row.append(
      el("span.time", { role: "gridcell" }, date, el("b", {}, time), millis),
      el(`span.channel.${hue(record.channel)}`, { role: "gridcell", title: record.channel }, record.channel || "—"),
      ...(this.columns.length ? cellsOf(record, this.columns) : []),
      this.#payload(record),
      late(record),
    );
    return row;
  }

  #payload(record) {
    const cell = el("span.payload", { role: "gridcell" });
    if (record.type && record.type !== record.channel) cell.append(el("span.type", { title: "Type" }, record.type));
    cell.append(previewOf(record, this.#options.wrap ? WRAPPED : LINE));
    if (record.cut) cell.append(el("span.cut", {}, size(record.size)));
    return cell;
  }

  #divider(row) {
    return el("div.divider", { role: "row" }, el("div", { role: "gridcell" }, icon("alert"), ...this.#dividerNode(row).filter(Boolean)));
  }

  /** The channel column is as wide as the longest name, within bounds. */
  #widen(length) {
    const wanted = Math.min(25, Math.max(14, length + 1));
    if (wanted <= this.#widest) return;
    this.#widest = wanted;
    this.#log.style.setProperty("--channel", `${(wanted * 7.55).toFixed(0)}px`);
  }

  /** The hover text of times is made when it is asked for: relative times change. */
  explain(row) {
    const record = row?.record;
    if (!record) return;
    row.querySelector(".time").title = `${ago(record.ms, this.#now())}\nlogged ${fullTime(record.ms, this.#options.utc)}\nevent  ${fullTime(record.time, this.#options.utc)}`;
  }
}

function late(record) {
  if (!(record.delay >= LATE)) return el("span", { role: "gridcell" });
  const very = record.delay >= VERY_LATE;
  return el(`span.late${very ? ".very" : ""}`, { role: "gridcell", title: `It was logged ${span(record.delay)} after its own time` }, `late ${span(record.delay)}`);
}
