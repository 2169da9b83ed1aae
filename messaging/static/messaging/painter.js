// Rows that arrive, in any number -> the list, at most once a frame. Busy frames are followed by a rest three times as
// long, so that the page stays usable at any rate; what arrives meanwhile waits in the store.

const LONGEST_REST = 400;

export class Painter {
  #rows;
  #store;
  #after;
  #arrived = [];
  #all = false;
  #scheduled = false;
  #earliest = 0;

  /** `after()` is called behind each drawing: numbers, selection, words for an empty list. */
  constructor(rows, store, after) {
    this.#rows = rows;
    this.#store = store;
    this.#after = after;
  }

  /** Adds rows at the newest end. */
  add(rows) {
    if (this.#arrived.length + rows.length > this.#store.cap) this.#all = true; // a hidden tab draws nothing for hours
    else this.#arrived.push(...rows);
    this.#schedule();
  }

  /** Draws everything anew: after a change of search, order, wrap or zone. */
  all() {
    this.#all = true;
    this.#schedule();
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const rest = this.#earliest - performance.now();
    if (rest > 0) setTimeout(() => requestAnimationFrame(() => this.#draw()), rest);
    else requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    const begin = performance.now();
    const { paused, rows } = this.#store;
    const arrived = this.#arrived;
    this.#arrived = [];
    this.#scheduled = false;
    if (this.#all) this.#rows.reset(rows, { keepPlace: paused });
    else if (arrived.length) this.#rows.append(arrived, { following: !paused });
    this.#all = false;
    this.#rows.limit(rows.length);
    if (!paused) this.#rows.toNewest();
    this.#after();
    const cost = performance.now() - begin;
    this.#earliest = performance.now() + (cost < 4 ? 0 : Math.min(LONGEST_REST, cost * 3));
  }
}
