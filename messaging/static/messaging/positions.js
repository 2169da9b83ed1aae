// Positions in the log -> which is further. Pure.
//
// A position says how far somebody has read: `<epoch>.<ms>-<seq>`, of several partitions one each, joined by commas. A
// location is where one message stands: `<partition>.<ms>-<seq>`.

/** The milliseconds in a position or a location. */
export function positionMs(position) {
  return Number(position.slice(position.indexOf(".") + 1, position.indexOf("-")));
}

/** "e.5-0" -> {epoch: "e", ms: "5", seq: "0"}: numbers of up to 20 digits, so they stay text. */
function parsed(text) {
  const found = /^([^.]*)\.(\d+)-(\d+)$/.exec(text);
  return found && { epoch: found[1], ms: found[2], seq: found[3] };
}

const compareNumbers = (a, b) => a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
const compare = (a, b) => compareNumbers(a.ms, b.ms) || compareNumbers(a.seq, b.seq);

/** How far somebody has read, in each partition. */
export class Place {
  #parts;

  constructor(id = null) {
    this.#parts = id ? id.split(",").map(parsed) : [];
    if (this.#parts.includes(null)) this.#parts = [];
  }

  /** As the stream takes it; null while nothing is known. */
  get id() {
    return this.#parts.length ? this.#parts.map(({ epoch, ms, seq }) => `${epoch}.${ms}-${seq}`).join(",") : null;
  }

  /** Has the message at a location, whose frame has this id, not been read yet? What cannot be told is new. */
  isBefore(location, id) {
    const at = parsed(location ?? "");
    const here = at && this.#parts[Number(at.epoch)];
    if (!here) return true;
    const other = id && parsed(id.split(",")[Number(at.epoch)] ?? "");
    return (other && other.epoch !== here.epoch) || compare(at, here) > 0;
  }

  /** Moves on to an id; never back, unless the log has been born anew. */
  advance(id) {
    const parts = id?.split(",").map(parsed) ?? [];
    if (!parts.length || parts.includes(null)) return;
    this.#parts = parts.map((part, at) => {
      const here = this.#parts[at];
      return here && here.epoch === part.epoch && compare(here, part) > 0 ? here : part;
    });
  }

  /** Is everything read that the other one has read? In another life of the log: no. */
  covers(other) {
    const theirs = other.#parts;
    return this.#parts.length >= theirs.length && theirs.every((part, at) => part.epoch === this.#parts[at].epoch && compare(this.#parts[at], part) >= 0);
  }

  /** Where to read from so that neither of the two misses anything. */
  earlier(other) {
    const [mine, theirs] = [this.#parts, other.#parts];
    if (!mine.length || mine.length !== theirs.length) return mine.length ? this : other;
    const place = new Place();
    // Of two lives of the log the older one is the safe choice: the server tells of its end and starts at the beginning.
    place.#parts = mine.map((part, at) => (compare(part, theirs[at]) <= 0 ? part : theirs[at]));
    return place;
  }
}
