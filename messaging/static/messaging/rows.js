// Rows of the store -> the list on the page: a window that follows the newest end.
//
// Rows stand in blocks of a hundred. The browser lays out only blocks that are near the visible part; ten thousand
// rows with `content-visibility` of their own would cost it half a second a frame, a hundred blocks cost nothing.

import { $, el } from "./dom.js";
import { messages } from "./format.js";
import { RowMaker } from "./row.js";

const BLOCK = 100;
const FIRST = 300; // rows rendered at once; the rest follows when the reader scrolls there
const STEP = 500;
const CAP = 600; // rows kept while following, give or take a block
const NEAR = 24; // pixels from the newest end that still count as being there
const SETTLE = 20; // frames at most until a message stays where it was scrolled to

export class Rows {
  #list = $("rows");
  #log = $("log");
  #elements = new Map(); // row -> element, in the order of the log
  #older = []; // rows of the store that match but are not in the window, oldest first
  #endCell = el("div", { role: "gridcell" });
  #end = el("div.rows-end", { role: "row" }, this.#endCell);
  #options;
  #maker;
  #match = null;
  #newest = null; // the block that is being filled
  #selected = null;
  #marked = null;
  #tabbable = null;
  #settling = null; // the scrolling that goes on with the next frames
  #sight;

  /** `options`: {newestFirst, wrap, utc}. `now` gives the server's time. `dividerNode(row)` draws a divider. */
  constructor({ options, now, dividerNode, end }) {
    this.#options = options;
    this.#maker = new RowMaker(this.#log, { options, now, dividerNode });
    this.endText = end;
    this.#list.append(this.#end);
    this.#sight = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && this.#extend(), { root: this.#list, rootMargin: "600px" });
    this.#sight.observe(this.#end);
    this.#list.addEventListener("mouseover", (event) => this.#maker.explain(event.target.closest(".row")));
  }

  get shown() {
    return this.#elements.size;
  }

  /** Messages that the search lets through: those in the window, and older ones. */
  get matching() {
    let count = 0;
    for (const rows of [this.#elements.keys(), this.#older]) for (const row of rows) if (row.key) count++;
    return count;
  }

  set match(test) {
    this.#match = test;
  }

  /** Places such as data.user.id that have a column. */
  set columns(paths) {
    this.#maker.columns = paths;
  }

  #matches(row) {
    return !row.key || !this.#match || this.#match(row);
  }

  /** Draws everything anew. With `keepPlace` the topmost message in sight stays there, if it is still shown. */
  reset(rows, { keepPlace = false } = {}) {
    const anchor = keepPlace && !this.atNewest ? this.#topmost() : null;
    const matching = rows.filter((row) => this.#matches(row));
    this.#older = matching.slice(0, Math.max(0, matching.length - FIRST));
    this.#empty();
    this.#log.classList.remove("dated");
    this.#insert(matching.slice(this.#older.length), false);
    this.#placeEnd();
    this.toNewest();
    if (anchor) this.#bringBack(anchor);
  }

  /** The elements of the messages in sight, from the top. */
  *inSight() {
    const { top, bottom } = this.#list.getBoundingClientRect();
    for (const block of this.#list.querySelectorAll(".block")) {
      const { top: begin, bottom: end } = block.getBoundingClientRect();
      if (begin >= bottom) return;
      if (end <= top) continue;
      for (const row of block.querySelectorAll(".row")) {
        const box = row.getBoundingClientRect();
        if (box.top >= bottom) return;
        if (box.bottom > top) yield row;
      }
    }
  }

  /** The first message in sight, and how far below the list's upper edge it stands. */
  #topmost() {
    const [element] = this.inSight();
    return element ? { record: element.record, offset: element.getBoundingClientRect().top - this.#list.getBoundingClientRect().top } : null;
  }

  #bringBack({ record, offset }) {
    while (!this.#elements.has(record) && this.#older.includes(record)) this.#extend();
    this.#settle(record, (element) => (this.#list.scrollTop += element.getBoundingClientRect().top - this.#list.getBoundingClientRect().top - offset));
  }

  /** Calls `scroll(element)` with each frame until the message stays: blocks on the way get their true height once they have been near. */
  #settle(record, scroll) {
    let still = 0;
    const step = (frames) => {
      const element = this.#elements.get(record);
      if (!element || this.#settling !== step) return;
      const top = element.getBoundingClientRect().top;
      scroll(element);
      still = Math.abs(element.getBoundingClientRect().top - top) < 1 ? still + 1 : 0;
      if (still < 2 && frames > 1) requestAnimationFrame(() => step(frames - 1));
    };
    this.#settling = step;
    step(SETTLE);
  }

  /** Adds rows at the newest end. While `following`, the old end is cut to CAP. */
  append(rows, { following }) {
    let matching = rows.filter((row) => this.#matches(row));
    if (!matching.length) return 0;
    if (matching.length > CAP) {
      this.#older = [...this.#older, ...this.#elements.keys(), ...matching.slice(0, -CAP)];
      matching = matching.slice(-CAP);
      this.#empty();
    }
    this.#insert(matching, following && matching.length < 6);
    if (following) this.#cut();
    this.#placeEnd();
    return matching.length;
  }

  /** Keeps no more than `total` rows: what the store has dropped goes here too. */
  limit(total) {
    const excess = this.#elements.size + this.#older.length - total;
    if (excess > 0 && this.#older.length) this.#older.splice(0, excess);
  }

  #empty() {
    this.#elements.clear();
    this.#newest = null;
    this.#list.replaceChildren();
  }

  /** Fills the newest block, then begins another. */
  #insert(rows, fresh) {
    for (let at = 0; at < rows.length; ) {
      if (!this.#newest || this.#newest.childElementCount >= BLOCK) {
        this.#newest = block();
        if (this.#options.newestFirst) this.#list.prepend(this.#newest);
        else this.#list.append(this.#newest);
      }
      const some = rows.slice(at, at + BLOCK - this.#newest.childElementCount);
      this.#fill(this.#newest, some, fresh);
      at += some.length;
    }
  }

  #fill(block, rows, fresh) {
    const elements = rows.map((row) => {
      const element = this.#maker.make(row, { fresh, marked: row === this.#marked });
      this.#elements.set(row, element);
      return element;
    });
    if (this.#options.newestFirst) block.prepend(...elements.reverse());
    else block.append(...elements);
    block.style.setProperty("--held", block.childElementCount);
  }

  /** The old end has come into sight: some more. */
  #extend() {
    if (!this.#older.length) return;
    const rows = this.#older.splice(-STEP);
    const newer = [...this.#elements];
    const height = this.#list.scrollHeight;
    this.#elements.clear();
    const blocks = [];
    for (let at = 0; at < rows.length; at += BLOCK) {
      blocks.push(block());
      this.#fill(blocks.at(-1), rows.slice(at, at + BLOCK), false);
    }
    for (const [row, element] of newer) this.#elements.set(row, element);
    if (this.#options.newestFirst) this.#end.before(...blocks.reverse());
    else {
      this.#end.after(...blocks);
      this.#list.scrollTop += this.#list.scrollHeight - height;
    }
    this.#placeEnd();
    this.#sight.unobserve(this.#end); // observed anew it reports again if it is still in sight
    this.#sight.observe(this.#end);
  }

  /** Takes whole blocks from the old end, as long as CAP rows are left. */
  #cut() {
    const cut = [];
    for (;;) {
      const oldest = this.#options.newestFirst ? this.#end.previousElementSibling : this.#end.nextElementSibling;
      if (!oldest || this.#elements.size - oldest.childElementCount < CAP) break;
      let left = oldest.childElementCount;
      for (const row of this.#elements.keys()) {
        if (left-- === 0) break;
        this.#elements.delete(row);
        cut.push(row);
      }
      oldest.remove();
    }
    this.#older.push(...cut);
  }

  #placeEnd() {
    if (this.#options.newestFirst) this.#list.append(this.#end);
    else this.#list.prepend(this.#end);
    this.#endCell.replaceChildren(...(this.#older.length ? [`${messages(this.#older.length)} more`] : this.#elements.size ? this.endText() : []));
  }

  // -- place and selection --

  get atNewest() {
    const { scrollTop, scrollHeight, clientHeight } = this.#list;
    return (this.#options.newestFirst ? scrollTop : scrollHeight - scrollTop - clientHeight) < NEAR;
  }

  toNewest() {
    this.#settling = null;
    this.#list.scrollTop = this.#options.newestFirst ? 0 : this.#list.scrollHeight;
  }

  /** Calls `change`, which may move the list's upper edge. Messages stay where they are on the screen; the newest end stays in sight. */
  steady(change) {
    const { atNewest } = this;
    const edge = this.#list.getBoundingClientRect().top;
    change();
    if (atNewest) this.toNewest();
    else this.#list.scrollTop += this.#list.getBoundingClientRect().top - edge;
  }

  /** Brings a message into the middle and marks it; false when the search hides it. */
  reveal(record) {
    while (!this.#elements.has(record) && this.#older.includes(record)) this.#extend();
    const element = this.#elements.get(record);
    this.#log.querySelector(".row.marked")?.classList.remove("marked");
    if (!element) return false;
    element.classList.add("marked");
    this.#marked = record;
    this.#settle(record, (row) => row.scrollIntoView({ block: "center" }));
    return true;
  }

  select(record) {
    const row = (record && this.#elements.get(record)) ?? null;
    if (row !== this.#selected || !row?.classList.contains("selected")) {
      this.#selected?.classList.remove("selected");
      this.#selected?.removeAttribute("aria-selected");
      this.#selected = row;
      row?.classList.add("selected");
      row?.setAttribute("aria-selected", "true");
    }
    // One row is in the tab order: the selected one, else the topmost.
    const tabbable = row ?? this.#list.querySelector(".row");
    if (tabbable === this.#tabbable) return;
    if (this.#tabbable) this.#tabbable.tabIndex = -1;
    if (tabbable) tabbable.tabIndex = 0;
    this.#tabbable = tabbable;
  }

  /** The message `step` rows below (1) or above (-1) the given one on the screen; the topmost when none is given. */
  neighbour(record, step) {
    const start = record && this.#elements.get(record);
    if (!start) return this.#list.querySelector(".row")?.record ?? null;
    const all = [...this.#list.querySelectorAll(".row")];
    return all[all.indexOf(start) + step]?.record ?? null;
  }

  /** The focus to the row that is in the tab order. */
  focusCurrent() {
    this.#tabbable?.focus({ preventScroll: true });
  }

  focus(record) {
    const row = this.#elements.get(record);
    row?.focus({ preventScroll: true });
    row?.scrollIntoView({ block: "nearest" });
  }
}

const block = () => el("div.block", { role: "rowgroup" });
