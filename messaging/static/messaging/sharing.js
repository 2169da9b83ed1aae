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

import { isHidden, watchAttention } from "./attention.js";
import { Connection } from "./connection.js";
import { anyMatch } from "./filters.js";
import { channelOf, locationOf } from "./frame.js";
import { Leader } from "./leader.js";
import { Place } from "./positions.js";

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
  #ticket;
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

  #lead; // what this member does as the leader
  #attention = null;

  /** `on(item)` gets what connection.js describes. Members of the same URL and `scope` (such as a user) share; not those with a ticket. */
  constructor(url, on, { scope = "", ticket = null, share = true, times = {} } = {}) {
    this.#url = url;
    this.#on = on;
    this.#ticket = ticket;
    this.#times = { ...TIMES, ...times };
    this.#name = share && !ticket && canShare() ? `messaging ${new URL(url, location.href).href} ${scope}` : null;
    this.#lead = new Leader({ url, name: this.#name, id: this.#id, times: this.#times, say: (word, rest) => this.#say(word, rest), member: this.#asLed() });
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
    return this.#asleep ? "asleep" : this.#own ? "own" : this.#lead.leads ? "leader" : "follower";
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
    if (isHidden()) this.#attention.look();
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
    if (this.#lead.leads) this.#lead.retryNow();
    else this.#say("retry");
  }

  // -- its own place in the log -----------------------------------------------------------------------------------

  #to(state) {
    this.#state = state;
    this.#on({ is: "state", state });
  }

  #openOwn() {
    this.#own?.close();
    const take = (item) => {
      this.#take(item, true);
      if (item.is === "live") this.#arrived();
    };
    this.#own = new Connection(this.#url, take, { ticket: this.#ticket });
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
    if (this.#lead.leads) this.#lead.settle();
    else this.#ask();
  }

  #servedBy(leader) {
    this.#leader = leader;
    this.#heard = Date.now();
    if (!leader) return;
    this.#own?.close();
    this.#own = null;
  }

  /** What the leader in this tab needs of its own member. */
  #asLed() {
    return {
      isHere: () => this.#watch !== null,
      wish: () => (this.#ready && !this.#apart ? this.#wish : null),
      hasOwn: () => this.#own !== null,
      giveOwn: () => {
        const own = this.#own;
        this.#own = null;
        return own;
      },
      isServedBy: (leader) => this.#servedBy(leader),
      take: (item) => this.#take(item),
      goApart: () => this.#goApart(),
    };
  }

  // -- among the others -------------------------------------------------------------------------------------------

  #enter() {
    this.#attention = watchAttention(this.#times, {
      hidden: () => this.#hidden(),
      handOver: () => this.#lead.handOver(),
      sleep: () => this.#sleep(),
      shown: () => this.#shown(),
      online: () => this.retryNow(),
    });
    this.#checked = this.#heard = Date.now();
    this.#watch = setInterval(() => this.#check(), this.#times.beat);
    if (!this.#name) return;
    this.#bus = new BroadcastChannel(this.#name);
    this.#bus.onmessage = ({ data }) => this.#hear(data);
    navigator.locks.request(`${this.#name} ${this.#id}`, () => new Promise((release) => (this.#release = release))).catch(() => {});
    if (!isHidden()) this.#lead.stand();
  }

  #exit() {
    this.#attention.stop();
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
    return { channels: this.#channels, place: this.#place.id, turn: this.#turn, visible: !isHidden() };
  }

  #leave() {
    this.#leader = null;
    this.#turn++;
    this.#say("leave");
    this.#lead.leave();
  }

  /** Leaves with everything, keeping its place. */
  #dropOut() {
    this.#attention.clear();
    this.#own?.close();
    this.#own = null;
    this.#leave();
    this.#lead.withdraw();
    this.#lead.stepDown();
  }

  #hear({ say, id, ...rest }) {
    if (say === "item" || say === "beat" || say === "open") {
      if (say === "open" && rest.covers[this.#id] === this.#turn) {
        this.#servedBy(id);
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
    } else this.#lead.hear(say, id, rest);
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
    if (this.#lead.leads) {
      this.#say("beat");
      this.#lead.prune();
    } else if (this.#bus && !this.#own && !this.#asleep && !isHidden() && now - this.#heard > SILENT * this.#times.beat) {
      this.#heard = now;
      this.#lead.stand({ steal: true });
    }
  }

  // -- looked at or not -------------------------------------------------------------------------------------------

  #hidden() {
    if (!this.#lead.leads) this.#lead.withdraw(); // those that are looked at come first
    this.#say("hidden");
    this.#lead.see(false);
  }

  #shown() {
    this.#lead.see(true);
    this.#heard = Date.now();
    this.#lead.stand();
    if (this.#asleep) {
      this.#asleep = false;
      this.#openOwn();
    } else {
      this.#ask();
      this.retryNow();
    }
  }

  #sleep() {
    if (this.#asleep) return;
    this.#asleep = true;
    this.#ready = this.#apart = false;
    this.#dropOut();
    this.#to({ name: "asleep" });
  }
}
