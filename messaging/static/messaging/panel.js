// Which message is selected, and what the panel at the right shows: its details, the publish box, or nothing.

import { $ } from "./dom.js";

export class Panel {
  #rows;
  #detail;
  #publishBox;
  #opener = null; // what had the focus when the panel opened
  selected = null;

  constructor({ rows, detail, publishBox }) {
    this.#rows = rows;
    this.#detail = detail;
    this.#publishBox = publishBox;
    // Also from within a field, which takes other keys itself.
    $("panel").addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.isComposing) return;
      event.preventDefault();
      this.close();
    });
  }

  /** "detail" with a record, "publish", or null. */
  open(what, record = null) {
    const panel = $("panel");
    const focused = document.activeElement;
    const leaves = !what && panel.contains(focused);
    if (what && panel.hidden) this.#opener = focused;
    if (what === "detail") this.selected = record;
    panel.hidden = !what; // first: a field that is hidden cannot take the focus
    panel.setAttribute("aria-label", what === "publish" ? "Publish a message" : "Details");
    this.#detail.show(what === "detail" ? record : null);
    this.#publishBox.show(what === "publish");
    this.#rows.select(this.selected);
    if (leaves) this.#giveBack();
  }

  /** The focus goes to where it was when the panel opened, or to the list. */
  #giveBack() {
    const { body } = document;
    if (this.#opener !== body && this.#opener?.isConnected) this.#opener.focus({ preventScroll: true });
    else this.#rows.focusCurrent();
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
