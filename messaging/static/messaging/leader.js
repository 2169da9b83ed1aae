// What the tabs of a browser want together -> one connection, whose items the tab that leads tells to all. No DOM.
//
// Who holds the Web Lock leads. The others say what they want ("join", "leave", "hidden", "retry"); the leader opens one
// connection from the earliest place where one of them stands, says whom it covers ("open"), and passes on each item.

import { isHidden } from "./attention.js";
import { Connection, isCurrent } from "./connection.js";
import { MOST_CHANNELS, Roster } from "./roster.js";

export class Leader {
  #url;
  #name;
  #id;
  #times;
  #say;
  #member;
  #leading = false;
  #resign = null;
  #campaign = null;
  #gathering = false;
  #gather = null; // timers
  #settling = null;
  #roster = new Roster();
  #shared = null;
  #quiet = false; // the shared connection is changing what it listens to: not worth a word
  #told = null; // the last state of the shared connection

  /**
   * `name` of the lock, null where tabs cannot share; `say(word, rest)` speaks to the others. `member` is this tab's:
   * {isHere(), wish() (null: not to be served), hasOwn(), giveOwn(), isServedBy(id), take(item), goApart()}.
   */
  constructor({ url, name, id, times, say, member }) {
    this.#url = url;
    this.#name = name;
    this.#id = id;
    this.#times = times;
    this.#say = say;
    this.#member = member;
  }

  get leads() {
    return this.#leading;
  }

  /** Stands for it no longer, unless it leads already. */
  withdraw() {
    this.#campaign?.abort();
  }

  /** Is this tab looked at? */
  see(visible) {
    this.#roster.see(this.#id, visible);
  }

  /** This tab wants nothing more, or something else. */
  leave() {
    if (!this.#leading) return;
    this.#roster.delete(this.#id);
    this.settle();
  }

  retryNow() {
    this.#shared?.retryNow();
  }

  /** Queues for the lock: who holds it leads. */
  stand({ steal = false } = {}) {
    if (!this.#name || this.#leading || (this.#campaign && !steal)) return;
    this.#campaign?.abort();
    const campaign = new AbortController();
    this.#campaign = campaign;
    navigator.locks
      .request(this.#name, steal ? { steal } : { signal: campaign.signal }, () => this.#lead(campaign))
      .catch(() => {}) // given up, or another one has taken the lock away
      .finally(() => {
        if (this.#campaign !== campaign) return;
        this.#campaign = null;
        this.stepDown();
      });
  }

  #lead(campaign) {
    if (!this.#member.isHere() || campaign.signal.aborted) return null;
    this.#leading = this.#gathering = true;
    this.#member.isServedBy(null);
    this.#told = null;
    this.#roster.clear();
    this.#say("leader");
    this.#gather = setTimeout(() => {
      this.#gathering = false;
      this.#settleNow();
    }, this.#times.gather);
    return new Promise((resign) => (this.#resign = resign));
  }

  /** Somebody else may lead. */
  stepDown() {
    if (!this.#leading) return;
    this.#leading = this.#gathering = false;
    clearTimeout(this.#gather);
    clearTimeout(this.#settling);
    this.#settling = null;
    this.#shared?.close();
    this.#shared = null;
    this.#roster.clear();
    this.#campaign = null;
    this.#resign?.();
    this.#resign = null;
    this.#member.isServedBy(null);
  }

  /** A hidden leader makes room for a visible member. */
  handOver() {
    if (this.#leading && isHidden() && this.#roster.hasVisibleOther(this.#id)) this.stepDown();
  }

  /** What a member says to its leader. */
  hear(say, id, wish) {
    if (!this.#leading) return;
    if (say === "join") {
      this.#roster.set(id, wish);
      this.settle();
      if (wish.visible) this.handOver();
    } else if (say === "leave") {
      if (this.#roster.delete(id)) this.settle();
    } else if (say === "hidden") this.#roster.see(id, false);
    else if (say === "retry") this.#shared?.retryNow();
  }

  /** Soon: members have come, gone, or want something else. */
  settle() {
    this.#settling ??= setTimeout(() => this.#settleNow(), this.#times.settle);
  }

  /** Makes the shared connection fit those that are here. */
  #settleNow() {
    clearTimeout(this.#settling);
    this.#settling = null;
    if (!this.#leading || this.#gathering) return;
    const roster = this.#roster;
    const wish = this.#member.wish();
    if (wish && !roster.isCovered(this.#id)) roster.set(this.#id, wish);
    for (const id of roster.ids.reverse()) {
      if (roster.union.length <= MOST_CHANNELS) break;
      this.#sendApart(id);
    }
    if (!roster.size) {
      this.#shared?.close();
      this.#shared = null;
      return;
    }
    if (!this.#shared && this.#member.hasOwn() && roster.has(this.#id) && !roster.hasOthers(this.#id)) return this.#adopt();
    const refused = this.#shared?.state.name === "refused"; // it may be otherwise by now: whoever joins was let in
    const plan = roster.plan(refused ? null : (this.#shared?.channels ?? null), this.#shared?.lastId ?? null);
    if (plan) {
      this.#quiet = this.#told === null || isCurrent(this.#told);
      this.#shared ??= new Connection(this.#url, (item) => this.#pass(item));
      this.#shared.close();
    }
    roster.coverAll();
    this.#say("open", { covers: roster.turns, state: this.#told });
    if (roster.has(this.#id)) this.#member.isServedBy(this.#id);
    if (plan) this.#shared.open(plan);
  }

  /** The only one there: its own connection is the shared one. */
  #adopt() {
    this.#shared = this.#member.giveOwn();
    this.#shared.on = (item) => this.#pass(item);
    this.#told = this.#shared.state;
    this.#quiet = false;
    this.#roster.coverAll();
    this.#member.isServedBy(this.#id);
  }

  /** Hands on what the shared connection brings. */
  #pass(item) {
    if (item.is === "state") {
      const { name } = item.state;
      if (this.#quiet && (name === "connecting" || name === "catching")) return;
      this.#quiet = false;
      if (name === "refused" && this.#roster.mixed) return this.#disband();
      this.#told = item.state;
    }
    if (this.#roster.hasOthers(this.#id)) this.#say("item", { item });
    if (this.#roster.has(this.#id)) this.#member.take(item);
  }

  /** What all want together is refused: each asks for itself, and learns whether it is refused as well. */
  #disband() {
    this.#say("apart");
    this.#shared.close();
    this.#shared = null;
    if (this.#roster.has(this.#id)) this.#member.goApart();
    this.#roster.clear();
  }

  #sendApart(id) {
    this.#roster.delete(id);
    if (id === this.#id) this.#member.goApart();
    else this.#say("apart", { to: id });
  }

  /** Forgets those that are gone without a word. */
  async prune() {
    if (!this.#roster.hasOthers(this.#id)) return;
    const { held } = await navigator.locks.query();
    const alive = new Set(held.map(({ name }) => name));
    for (const id of this.#roster.ids) if (!alive.has(`${this.#name} ${id}`) && this.#roster.delete(id)) this.settle();
  }
}
