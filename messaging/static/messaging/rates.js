// Messages with their times -> counts a second, in all and by channel. Pure.

const KEEP = 300; // seconds
const WINDOW = 5; // seconds over which a speed is taken
const MAX_CHANNELS = 1000; // a foreign system may use a channel a user; the rest is counted in the total only

/** A ring of counts, one a second. */
class Ring {
  #counts = new Uint32Array(KEEP);
  #newest = 0;
  total = 0;

  add(second, n = 1) {
    if (second > this.#newest) {
      const from = Math.max(this.#newest + 1, second - KEEP + 1);
      for (let s = from; s <= second; s++) this.#counts[s % KEEP] = 0;
      this.#newest = second;
    }
    this.total += n;
    if (second > this.#newest - KEEP) this.#counts[second % KEEP] += n;
  }

  at(second) {
    return second > this.#newest || second <= this.#newest - KEEP || second < 0 ? 0 : this.#counts[second % KEEP];
  }

  /** Counts of the `seconds` seconds up to and with `last`, oldest first. */
  series(last, seconds) {
    const out = new Array(seconds);
    for (let i = 0; i < seconds; i++) out[i] = this.at(last - seconds + 1 + i);
    return out;
  }
}

export class Rates {
  all = new Ring();
  channels = new Map();
  #oldest = Infinity; // second
  /** The first second of which every message is counted; Infinity until `begin`. */
  since = Infinity;

  /** Counts one message that the log took at `ms`; one that could not be read has no channel. */
  add(channel, ms) {
    const second = Math.floor(ms / 1000);
    this.#oldest = Math.min(this.#oldest, second);
    this.all.add(second);
    if (!channel) return;
    let ring = this.channels.get(channel);
    if (!ring && this.channels.size < MAX_CHANNELS) this.channels.set(channel, (ring = new Ring()));
    ring?.add(second);
  }

  /** The messages of the past have come: all that there are, or else some, of whose oldest second others may be missing. */
  begin(all, now) {
    if (all) this.since = -Infinity;
    else this.since = (this.#oldest === Infinity ? Math.floor(now / 1000) : this.#oldest) + 1;
  }

  /** Counts of the `seconds` seconds up to and with `last`, oldest first; null where they are not known. */
  series(ring, last, seconds) {
    return ring.series(last, seconds).map((n, at) => (last - seconds + 1 + at < this.since ? null : n));
  }

  /** Messages a second over the last whole seconds of a ring, as far as they are known. */
  speed(ring, now) {
    const last = Math.floor(now / 1000) - 1;
    const seconds = Math.min(WINDOW, last - this.since + 1);
    return seconds > 0 ? ring.series(last, seconds).reduce((sum, n) => sum + n, 0) / seconds : 0;
  }

  reset() {
    this.all = new Ring();
    this.channels.clear();
    this.#oldest = this.since = Infinity;
  }
}
