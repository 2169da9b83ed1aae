// Messages with their times -> counts a second, in all and by channel. Pure.

const KEEP = 300; // seconds
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
  /** The first second of which something is known. */
  since = Infinity;

  /** Counts one message that the log took at `ms`; one that could not be read has no channel. */
  add(channel, ms) {
    const second = Math.floor(ms / 1000);
    this.since = Math.min(this.since, second);
    this.all.add(second);
    if (!channel) return;
    let ring = this.channels.get(channel);
    if (!ring && this.channels.size < MAX_CHANNELS) this.channels.set(channel, (ring = new Ring()));
    ring?.add(second);
  }

  reset() {
    this.all = new Ring();
    this.channels.clear();
    this.since = Infinity;
  }
}

/** Messages a second over the last `window` whole seconds of a ring. */
export function perSecond(ring, now, window = 5) {
  const last = Math.floor(now / 1000) - 1;
  return ring.series(last, window).reduce((sum, n) => sum + n, 0) / window;
}
