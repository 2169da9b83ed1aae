// Which message is selected, and what the panel at the right shows: its details, the publish box, or nothing.

import { $ } from "./dom.js";

export class Panel {
  #rows;
  #detail;
  #publishBox;
  selected = null;

  constructor({ rows, detail, publishBox }) {
    this.#rows = rows;
    this.#detail = detail;
    this.#publishBox = publishBox;
  }

  /** "detail" with a record, "publish", or null. */
  open(what, record = null) {
    if (what === "detail") this.selected = record;
    this.#detail.show(what === "detail" ? record : null);
    this.#publishBox.show(what === "publish");
    $("panel").hidden = !what;
    $("panel").setAttribute("aria-label", what === "publish" ? "Publish a message" : "Details");
    this.#rows.select(this.selected);
  }

  close() {
    this.open(null);
  }

  /** The details of a message, or none if they are open. */
  toggle(record) {
    this.open(this.#detail.record === record ? null : "detail", record);
  }

  openSelected() {
    return this.selected ? this.open("detail", this.selected) : false;
  }

  togglePublish() {
    if (this.#publishBox.exists) this.open($("publish").hidden ? "publish" : null);
  }

  /** To the row below (1) or above (-1). */
  step(n) {
    const record = this.#rows.neighbour(this.selected, n);
    if (!record) return;
    this.selected = record;
    this.#rows.select(record);
    this.#rows.focus(record);
    if (this.#detail.record) this.#detail.show(record);
  }
}
