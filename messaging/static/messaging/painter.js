// Rows that arrive, in any number -> the list, at most once a frame. A frame that took long, layout and painting
// included, is followed by a rest three times as long, so that the page stays usable at any rate; what arrives meanwhile
// waits in the store.

const LONGEST_REST = 400; // ms
const LIGHT = 6; // ms: a frame that takes no longer needs no rest

export class Painter {
  #rows;
  #store;
  #after;
  #arrived = [];
  #all = false;
  #scheduled = false;
  #began = 0;
  #earliest = 0;
  #painted = new MessageChannel();

  /** `after()` is called behind each drawing: numbers, selection, words for an empty list. */
  constructor(rows, store, after) {
    this.#rows = rows;
    this.#store = store;
    this.#after = after;
    this.#painted.port1.onmessage = () => this.#rest();
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
    this.#began = performance.now();
    const { paused, rows } = this.#store;
    const arrived = this.#arrived;
    this.#arrived = [];
    if (this.#all) this.#rows.reset(rows, { keepPlace: paused });
    else if (arrived.length) this.#rows.append(arrived, { following: !paused });
    this.#all = false;
    this.#rows.limit(rows.length);
    if (!paused) this.#rows.toNewest();
    this.#after();
    this.#painted.port2.postMessage(null);
  }

  /** A task of its own behind the frame: the browser has laid out and painted what #draw changed. */
  #rest() {
    const cost = performance.now() - this.#began;
    this.#earliest = performance.now() + (cost <= LIGHT ? 0 : Math.min(LONGEST_REST, cost * 3));
    this.#scheduled = false;
    if (this.#arrived.length || this.#all) this.#schedule();
  }
}
