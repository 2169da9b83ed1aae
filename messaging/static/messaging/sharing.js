// A stream's URL and what one page wants of it -> that, from one connection for all tabs of this browser. No DOM.
//
// A browser opens at most six connections to a server over HTTP/1.1: ten tabs with a stream each would hang the seventh.
//
//   own      each member begins with a connection of its own, which brings its history and what it has missed
//   shared   once that is live it joins: the leader (who holds the Web Lock) listens to what all members want together,
//            from the earliest place where one of them stands, and tells everything over the BroadcastChannel
//   asleep   hidden for a while: no connection; it goes on from its place when it is looked at again
//
// Each member knows how far it has read and drops what it has had. So nothing depends on the leader: when it is closed,
// crashes or falls silent another takes over, from the earliest place of those that are left, and nobody misses a message
// or gets one twice. Without Web Locks (plain HTTP on a host other than localhost) a member keeps its own connection.

import { Connection } from "./connection.js";
import { anyMatch } from "./filters.js";
import { channelOf, locationOf } from "./frame.js";
import { Place } from "./positions.js";
import { MOST_CHANNELS, Roster } from "./roster.js";

const TIMES = {
  grace: 30_000, // hidden for so long: asleep
  handover: 1_500, // a hidden leader makes room for a visible member after this
  gather: 100, // a new leader waits so long for the others to say what they want
  settle: 30, // tabs that come together are served by one new connection
  beat: 5_000, // a leader says that it lives
};
const SILENT = 2.5; // beats without a word from the leader: another one takes its place

export const canShare = () => Boolean(globalThis.navigator?.locks && globalThis.BroadcastChannel);

export class Member {
  #url;
  #on;
  #times;
  #name;
  #id = `${Date.now().toString(36)}${Math.random().toString(36).slice(2)}`;
  #bus = null;
  #release = null; // of the lock that says this member lives
  #watch = null;

  #channels = [];
  #takes = () => true;
  #last = 0;
  #place = new Place();
  #ready = false; // it has its history and may be served by a shared connection
  #turn = 0; // counts what it has wanted: an answer to an earlier wish is none
  #apart = false; // the shared connection cannot serve this member
  #asleep = false;
  #state = { name: "stopped" };
  #own = null;

  #leader = null; // the id of the one that serves this member
  #heard = 0;
  #checked = 0;

  #leading = false;
  #resign = null;
  #campaign = null;
  #gathering = false;
  #roster = new Roster();
  #shared = null;
  #quiet = false; // the shared connection is changing what it listens to: not worth a word
  #told = null; // the last state of the shared connection
  #timers = {};

  /** `on(item)` gets what connection.js describes. Members of the same URL and `scope` (such as a user) share. */
  constructor(url, on, { scope = "", share = true, times = {} } = {}) {
    this.#url = url;
    this.#on = on;
    this.#times = { ...TIMES, ...times };
    this.#name = share && canShare() ? `messaging ${new URL(url, location.href).href} ${scope}` : null;
  }

  get state() {
    return this.#state;
  }

  get lastId() {
    return this.#place.id;
  }

  /** "own", "leader", "follower", "asleep" or "closed": where what it gets comes from. */
  get role() {
    if (!this.#watch) return "closed";
    return this.#asleep ? "asleep" : this.#own ? "own" : this.#leading ? "leader" : "follower";
  }

  /** Starts anew. `position` resumes behind it; without it the last `last` messages come first. */
  open({ channels = [], last = 0, position = null } = {}) {
    this.#channels = channels;
    this.#takes = anyMatch(channels);
    this.#last = last;
    this.#place = new Place(position);
    this.#ready = this.#apart = this.#asleep = false;
    if (this.#watch) this.#leave();
    else this.#enter();
    if (document.visibilityState === "hidden") this.#hidden();
    this.#openOwn();
  }

  close() {
    if (!this.#watch) return;
    this.#dropOut();
    this.#exit();
    this.#to({ name: "stopped" });
  }

  /** Ends a wait between two attempts to connect. */
  retryNow() {
    this.#own?.retryNow();
    if (this.#leading) this.#shared?.retryNow();
    else this.#say("retry");
  }

  // -- its own place in the log -----------------------------------------------------------------------------------

  #to(state) {
    this.#state = state;
    this.#on({ is: "state", state });
  }

  #openOwn() {
    this.#own?.close();
    this.#own = new Connection(this.#url, (item) => {
      this.#take(item, true);
      if (item.is === "live") this.#arrived();
    });
    this.#own.open({ channels: this.#channels, last: this.#last, position: this.#place.id });
  }

  #take(item, own = false) {
    if (item.is === "state") return this.#to(item.state);
    if (item.is === "place" || item.is === "gap") this.#place.advance(item.id);
    if (item.is !== "messages") return this.#on(item);
    const messages = [];
    for (const message of item.messages) {
      const wanted = own || !this.#channels.length || this.#takes(channelOf(message.data) ?? "");
      if (wanted && this.#place.isBefore(locationOf(message.data), message.id)) messages.push(message);
      this.#place.advance(message.id);
    }
    if (messages.length) this.#on({ is: "messages", messages });
  }

  /** The own connection is live: from here a shared one can take over. */
  #arrived() {
    this.#ready = true;
    if (this.#leading) this.#settle();
    else this.#ask();
  }

  #served(by) {
    this.#leader = by;
    this.#heard = Date.now();
    this.#own?.close();
    this.#own = null;
  }

  // -- among the others -------------------------------------------------------------------------------------------

  #enter() {
    document.addEventListener("visibilitychange", this.#seen);
    addEventListener("pagehide", this.#sleep);
    addEventListener("pageshow", this.#shown);
    addEventListener("online", this.#online);
    this.#checked = this.#heard = Date.now();
    this.#watch = setInterval(() => this.#check(), this.#times.beat);
    if (!this.#name) return;
    this.#bus = new BroadcastChannel(this.#name);
    this.#bus.onmessage = ({ data }) => this.#hear(data);
    navigator.locks.request(`${this.#name} ${this.#id}`, () => new Promise((release) => (this.#release = release))).catch(() => {});
    if (document.visibilityState !== "hidden") this.#stand();
  }

  #exit() {
    document.removeEventListener("visibilitychange", this.#seen);
    removeEventListener("pagehide", this.#sleep);
    removeEventListener("pageshow", this.#shown);
    removeEventListener("online", this.#online);
    clearInterval(this.#watch);
    this.#watch = null;
    this.#bus?.close();
    this.#bus = null;
    this.#release?.();
  }

  #say(word, rest = {}) {
    this.#bus?.postMessage({ say: word, id: this.#id, ...rest });
  }

  /** Asks the leader to be served; until it is, it serves itself. */
  #ask() {
    if (this.#ready && !this.#apart && !this.#asleep) this.#say("join", this.#wish);
  }

  get #wish() {
    return { channels: this.#channels, place: this.#place.id, turn: this.#turn, visible: document.visibilityState !== "hidden" };
  }

  #leave() {
    this.#leader = null;
    this.#turn++;
    this.#say("leave");
    if (this.#leading) {
      this.#roster.delete(this.#id);
      this.#settle();
    }
  }

  /** Leaves with everything, keeping its place. */
  #dropOut() {
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.#own?.close();
    this.#own = null;
    this.#leave();
    this.#campaign?.abort();
    this.#stepDown();
  }

  #hear({ say, id, ...rest }) {
    if (say === "item" || say === "beat" || say === "open") {
      if (say === "open" && rest.covers[this.#id] === this.#turn) {
        this.#served(id);
        if (rest.state) this.#take({ is: "state", state: rest.state });
      }
      if (id !== this.#leader) return; // a leader that does not know yet that it is none
      this.#heard = Date.now();
      if (say === "item") this.#take(rest.item);
    } else if (say === "leader") {
      this.#leader = null;
      this.#heard = Date.now();
      this.#ask();
    } else if (say === "apart" && (rest.to === this.#id || (!rest.to && id === this.#leader))) {
      this.#goApart();
    } else if (this.#leading) {
      this.#hearAsLeader(say, id, rest);
    }
  }

  #goApart() {
    this.#apart = true;
    this.#leader = null;
    this.#turn++;
    if (!this.#own) this.#openOwn();
  }

  /** Every few seconds: is the leader still there? */
  #check() {
    const now = Date.now();
    const stopped = now - this.#checked > 2 * this.#times.beat; // the whole machine slept, or the browser held the timers
    this.#checked = now;
    if (stopped) this.#heard = now;
    if (this.#leading) {
      this.#say("beat");
      this.#prune();
    } else if (this.#bus && !this.#own && !this.#asleep && document.visibilityState !== "hidden" && now - this.#heard > SILENT * this.#times.beat) {
      this.#heard = now;
      this.#stand({ steal: true });
    }
  }

  // -- looked at or not -------------------------------------------------------------------------------------------

  #seen = () => (document.visibilityState === "hidden" ? this.#hidden() : this.#shown());

  #hidden() {
    clearTimeout(this.#timers.grace);
    clearTimeout(this.#timers.handover);
    this.#timers.grace = setTimeout(this.#sleep, this.#times.grace);
    this.#timers.handover = setTimeout(() => this.#handOver(), this.#times.handover);
    if (!this.#leading) this.#campaign?.abort(); // those that are looked at come first
    this.#say("hidden");
    this.#roster.see(this.#id, false);
  }

  #shown = () => {
    clearTimeout(this.#timers.grace);
    clearTimeout(this.#timers.handover);
    this.#roster.see(this.#id, true);
    this.#heard = Date.now();
    this.#stand();
    if (this.#asleep) {
      this.#asleep = false;
      this.#openOwn();
    } else {
      this.#ask();
      this.retryNow();
    }
  };

  #online = () => this.retryNow();

  #sleep = () => {
    if (this.#asleep) return;
    this.#asleep = true;
    this.#ready = this.#apart = false;
    this.#dropOut();
    this.#to({ name: "asleep" });
  };

  // -- as the leader ----------------------------------------------------------------------------------------------

  /** Queues for the lock: who holds it leads. */
  #stand({ steal = false } = {}) {
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
        this.#stepDown();
      });
  }

  #lead(campaign) {
    if (!this.#watch || campaign.signal.aborted) return null;
    this.#leading = this.#gathering = true;
    this.#leader = null;
    this.#told = null;
    this.#roster.clear();
    this.#say("leader");
    this.#timers.gather = setTimeout(() => {
      this.#gathering = false;
      this.#settleNow();
    }, this.#times.gather);
    return new Promise((resign) => (this.#resign = resign));
  }

  #stepDown() {
    if (!this.#leading) return;
    this.#leading = this.#gathering = false;
    clearTimeout(this.#timers.gather);
    clearTimeout(this.#timers.settle);
    this.#timers.settle = null;
    this.#shared?.close();
    this.#shared = this.#leader = null;
    this.#roster.clear();
    this.#campaign = null;
    this.#resign?.();
    this.#resign = null;
    this.#heard = Date.now();
  }

  #handOver() {
    if (this.#leading && document.visibilityState === "hidden" && this.#roster.hasVisibleOther(this.#id)) this.#stepDown();
  }

  #hearAsLeader(say, id, wish) {
    if (say === "join") {
      this.#roster.set(id, wish);
      this.#settle();
      if (wish.visible) this.#handOver();
    } else if (say === "leave") {
      if (this.#roster.delete(id)) this.#settle();
    } else if (say === "hidden") this.#roster.see(id, false);
    else if (say === "retry") this.#shared?.retryNow();
  }

  #settle() {
    this.#timers.settle ??= setTimeout(() => this.#settleNow(), this.#times.settle);
  }

  /** Makes the shared connection fit those that are here. */
  #settleNow() {
    clearTimeout(this.#timers.settle);
    this.#timers.settle = null;
    if (!this.#leading || this.#gathering) return;
    const roster = this.#roster;
    if (this.#ready && !this.#apart && !roster.isCovered(this.#id)) roster.set(this.#id, this.#wish);
    for (const id of roster.ids.reverse()) {
      if (roster.union.length <= MOST_CHANNELS) break;
      this.#sendApart(id);
    }
    if (!roster.size) {
      this.#shared?.close();
      this.#shared = null;
      return;
    }
    if (!this.#shared && this.#own && roster.has(this.#id) && !roster.hasOthers(this.#id)) return this.#adopt();
    const refused = this.#shared?.state.name === "refused"; // it may be otherwise by now: whoever joins was let in
    const plan = roster.plan(refused ? null : (this.#shared?.channels ?? null), this.#shared?.lastId ?? null);
    if (plan) {
      this.#quiet = this.#told === null || this.#told.name === "live" || this.#told.name === "behind";
      this.#shared ??= new Connection(this.#url, (item) => this.#pass(item));
      this.#shared.close();
    }
    roster.coverAll();
    this.#say("open", { covers: roster.turns, state: this.#told });
    if (roster.has(this.#id)) this.#served(this.#id);
    if (plan) this.#shared.open(plan);
  }

  /** The only one there: its own connection is the shared one. */
  #adopt() {
    this.#shared = this.#own;
    this.#own = null;
    this.#shared.on = (item) => this.#pass(item);
    this.#told = this.#shared.state;
    this.#quiet = false;
    this.#roster.coverAll();
    this.#leader = this.#id;
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
    if (this.#roster.has(this.#id)) this.#take(item);
  }

  /** What all want together is refused: each asks for itself, and learns whether it is refused as well. */
  #disband() {
    this.#say("apart");
    this.#shared.close();
    this.#shared = null;
    if (this.#roster.has(this.#id)) this.#goApart();
    this.#roster.clear();
  }

  #sendApart(id) {
    this.#roster.delete(id);
    if (id === this.#id) this.#goApart();
    else this.#say("apart", { to: id });
  }

  /** Forgets those that are gone without a word. */
  async #prune() {
    if (!this.#roster.hasOthers(this.#id)) return;
    const { held } = await navigator.locks.query();
    const alive = new Set(held.map(({ name }) => name));
    for (const id of this.#roster.ids) if (!alive.has(`${this.#name} ${id}`) && this.#roster.delete(id)) this.#settle();
  }
}
