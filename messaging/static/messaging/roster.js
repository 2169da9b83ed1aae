// Who listens to what, and how far each has read -> the one stream that serves them all. Pure.

import { Place } from "./positions.js";

export const MOST_CHANNELS = 50; // that the server takes in one request

/** Members by id: {channels, place, turn, covered, visible}. `covered`: the open stream has all that this one wants. */
export class Roster {
  #members = new Map();

  get size() {
    return this.#members.size;
  }

  get ids() {
    return [...this.#members.keys()];
  }

  has(id) {
    return this.#members.has(id);
  }

  isCovered(id) {
    return this.#members.get(id)?.covered ?? false;
  }

  /** What each of them wanted last: {id: turn}. */
  get turns() {
    return Object.fromEntries([...this.#members].map(([id, { turn }]) => [id, turn]));
  }

  set(id, { channels, place, turn, visible, covered = false }) {
    this.#members.set(id, { channels, place: new Place(place), turn, visible, covered });
  }

  see(id, visible) {
    const member = this.#members.get(id);
    if (member) member.visible = visible;
  }

  delete(id) {
    return this.#members.delete(id);
  }

  clear() {
    this.#members.clear();
  }

  coverAll() {
    for (const member of this.#members.values()) member.covered = true;
  }

  /** Is anybody but this one there? */
  hasOthers(id) {
    return this.#members.size > (this.#members.has(id) ? 1 : 0);
  }

  hasVisibleOther(id) {
    return [...this.#members].some(([other, { visible }]) => other !== id && visible);
  }

  /** What all of them want together: sorted patterns, none for everything. */
  get union() {
    const all = new Set();
    for (const { channels } of this.#members.values()) {
      if (!channels.length) return [];
      for (const name of channels) all.add(name);
    }
    return all.has("*") ? [] : [...all].sort();
  }

  /** Do they differ in what they want? */
  get mixed() {
    return new Set([...this.#members.values()].map(({ channels }) => JSON.stringify([...channels].sort()))).size > 1;
  }

  /**
   * What is to be done about a stream that is open for `channels` and has read up to `position` (both null: none is
   * open) -> null when it serves everybody, else {channels, position} to open anew.
   */
  plan(channels, position) {
    const wanted = this.union;
    const here = new Place(position);
    const waiting = [...this.#members.values()].filter(({ covered }) => !covered);
    const same = channels !== null && JSON.stringify(wanted) === JSON.stringify([...channels].sort());
    if (same && waiting.every(({ place }) => place.covers(here))) return null;
    let from = this.#members.size > waiting.length && position ? here : null;
    for (const { place } of waiting) from = from ? from.earlier(place) : place;
    return { channels: wanted, position: from?.id ?? null };
  }
}
