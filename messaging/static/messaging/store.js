// Records, as they arrive -> the bounded lists behind the page: what is shown, and what waits while it is paused. Pure.

const CAP = 10_000;
const CHARS = 32 * 1024 * 1024; // of payloads, in either list

/** A list of rows (records and dividers), oldest first, that drops its oldest when it holds too much. */
class Bounded {
  rows = [];
  messages = 0;
  chars = 0;

  constructor(cap, chars, onDrop) {
    this.cap = cap;
    this.maxChars = chars;
    this.onDrop = onDrop;
  }

  get full() {
    return this.messages >= this.cap || this.chars >= this.maxChars;
  }

  push(row) {
    this.rows.push(row);
    if (row.key) {
      this.messages++;
      this.chars += row.raw.length;
    }
  }

  /** Drops what is too much; a little more at once, since cutting the front of an array moves the rest. */
  trim() {
    if (this.messages <= this.cap && this.chars <= this.maxChars) return;
    const slack = Math.ceil(this.cap / 100);
    let drop = 0;
    while (drop < this.rows.length && (this.messages > this.cap - slack || this.chars > this.maxChars)) {
      const row = this.rows[drop++];
      if (!row.key) continue;
      this.messages--;
      this.chars -= row.raw.length;
    }
    this.onDrop(this.rows.splice(0, drop));
  }

  empty() {
    this.messages = this.chars = 0;
    return this.rows.splice(0);
  }
}

/**
 * `add` and `divide` return the rows that are to be shown now; while paused they are kept back and `resume` returns
 * them. More than `cap` messages kept back: the oldest of them go, and a divider {hole, missed, cap, from} says so.
 */
export class Store {
  #keys = new Set();
  #hole = null;
  #shown;
  #waiting;
  paused = false;
  /** Messages dropped from the old end of what is shown, since the last `clear`. */
  dropped = 0;

  constructor({ cap = CAP, chars = CHARS } = {}) {
    this.cap = cap;
    this.#shown = new Bounded(cap, chars, (rows) => (this.dropped += this.#forget(rows)));
    this.#waiting = new Bounded(cap, chars, (rows) => this.#dropWaiting(rows));
  }

  /** Rows on the page, oldest first. Not a copy. */
  get rows() {
    return this.#shown.rows;
  }

  get messages() {
    return this.#shown.messages;
  }

  /** Messages that wait for `resume`, those that had to be dropped included. */
  get waiting() {
    return this.#waiting.messages + (this.#hole?.missed ?? 0);
  }

  get full() {
    return this.#shown.full;
  }

  /** Those of the records that the page has not had yet; from now on it has. */
  fresh(records) {
    return records.filter(({ key }) => !this.#keys.has(key) && this.#keys.add(key));
  }

  /** Takes fresh records in log order, returns those to show now. */
  add(records) {
    return this.#take(records);
  }

  /** A divider row: an object without `key`. */
  divide(row) {
    return this.#take([row]);
  }

  #take(rows) {
    const list = this.paused ? this.#waiting : this.#shown;
    for (const row of rows) list.push(row);
    list.trim();
    return this.paused ? [] : rows;
  }

  pause() {
    this.paused = true;
  }

  resume() {
    this.paused = false;
    const rows = this.#waiting.empty();
    if (this.#hole) rows.unshift(this.#hole);
    this.#hole = null;
    return this.#take(rows);
  }

  /** Forgets what is shown; what waits stays. */
  clear() {
    this.dropped = 0;
    this.#forget(this.#shown.empty());
  }

  /** Forgets everything. */
  reset() {
    this.clear();
    this.#waiting.empty();
    this.#keys.clear();
    this.#hole = null;
  }

  find(key) {
    const match = (row) => row.key === key;
    return this.#shown.rows.find(match) ?? this.#waiting.rows.find(match);
  }

  /** The message before it with the same key on the same channel, or at least on the same channel. */
  previousOf(record) {
    const earlier = this.rows.slice(0, Math.max(0, this.rows.indexOf(record))).filter((row) => row.key && row.channel === record.channel);
    const { partitionkey } = record.event;
    return (partitionkey && earlier.findLast((row) => row.event.partitionkey === partitionkey)) || earlier.at(-1);
  }

  #forget(rows) {
    let messages = 0;
    for (const row of rows) {
      if (!row.key) continue;
      messages++;
      this.#keys.delete(row.key);
    }
    return messages;
  }

  #dropWaiting(rows) {
    const missed = this.#forget(rows);
    this.#hole ??= { hole: true, missed: 0, cap: this.cap, from: this.#lastShownPosition() };
    this.#hole.missed += missed;
  }

  #lastShownPosition() {
    const rows = this.#shown.rows;
    for (let at = rows.length - 1; at >= 0; at--) if (rows[at].position) return rows[at].position;
    return null;
  }
}
