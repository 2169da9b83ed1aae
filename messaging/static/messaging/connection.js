// A stream's URL, channels and a place -> what it sends, for ever: it reconnects, and resumes where it was. No DOM.
//
// Read with fetch and not with EventSource, which hides what this needs: the status of a refusal (403 is final, 503 is
// not), heartbeats (a connection that died without a word is noticed), and back-pressure (a page that is busy makes the
// server wait instead of filling its own memory). On the wire it is the same: text/event-stream, `retry:`, and the
// `Last-Event-ID` header to resume.

import { positionMs } from "./positions.js";
import { EventStreamParser } from "./sse.js";

const HEARTBEAT = 15_000; // unless `hello` says otherwise
const SILENT = 2.5; // heartbeats without a byte: the connection is dead
const LONGEST_WAIT = 30_000;
const BEHIND = 5_000; // messages older than this while live: the page cannot keep up
const CAUGHT_UP = 1_500;
const SLICE = 12; // ms of work before the browser gets a turn
const SPREAD = 300; // ms at most before a silent stream is opened again: all pages of a server notice together

/** What to wait before the next attempt: `retry` doubled each time, at most 30 s, spread by half to both sides. */
export function backOff(attempt, retry, random = Math.random) {
  const wait = Math.min(LONGEST_WAIT, retry * 2 ** Math.min(attempt - 1, 10));
  return Math.round(wait * (0.5 + random()));
}

/** Has everything been sent that the server knows of? */
export const isCurrent = ({ name }) => name === "live" || name === "behind" || name === "silent";

/**
 * `on(item)` gets, in the order of the stream:
 * {is: "state", state}         connecting, catching, live, behind {lag}, silent {since}, waiting {attempt, until, why},
 *                              refused {why, text}
 * {is: "hello", facts}         the server's first words
 * {is: "messages", messages}   [{id, data}]: the frame's id, and its data as text
 * {is: "live", facts}          history is over
 * {is: "gap", gap, id}         messages are missing here
 * {is: "loss", loss}           here the listener has recorded that messages may be missing
 * {is: "place", id}            everything up to here has been sent
 */
export class Connection {
  #url;
  #on;
  #ticket;
  #abort = null;
  #skipWait = null;
  #channels = [];
  #last = 0;
  #silence = HEARTBEAT * SILENT;
  #state = { name: "stopped" };
  #clock = 0; // the server's clock minus ours
  lastId = null;

  /** `ticket()` gives one for each attempt: it begins a stream while it is fresh, and a stream may end at any time. */
  constructor(url, on, { ticket = null } = {}) {
    this.#url = url;
    this.#on = on;
    this.#ticket = ticket;
  }

  /** From now on somebody else gets the items. */
  set on(handler) {
    this.#on = handler;
  }

  get state() {
    return this.#state;
  }

  get channels() {
    return this.#channels;
  }

  /** Starts anew. `position` resumes behind it; without it the last `last` messages come first. */
  open({ channels = [], last = 0, position = null }) {
    this.close();
    this.#channels = channels;
    this.#last = last;
    this.lastId = position;
    this.#abort = new AbortController();
    this.#run(this.#abort.signal);
  }

  /** Ends it; nothing is said of that. */
  close() {
    this.#abort?.abort();
    this.#abort = null;
    this.#state = { name: "stopped" };
  }

  /** Ends a wait between two attempts. */
  retryNow() {
    this.#skipWait?.();
  }

  #to(state) {
    this.#state = state;
    this.#on({ is: "state", state });
  }

  #address(ticket) {
    const url = new URL(this.#url, location.href);
    for (const name of this.#channels) url.searchParams.append("channel", name);
    url.searchParams.append("last", this.#last);
    if (ticket) url.searchParams.append("ticket", ticket);
    return url;
  }

  async #run(closed) {
    let attempt = 0;
    let retry = 2000;
    let refused = false;
    while (!closed.aborted) {
      if (attempt === 0) this.#to({ name: "connecting" });
      const end = await this.#once(closed, (value) => (retry = value));
      if (closed.aborted) return;
      const tooOld = end.refused === 403 && this.#ticket && !refused; // it may have aged on the way: once more
      if (end.refused && !tooOld) return this.#to({ name: "refused", why: end.refused, text: end.text });
      refused = Boolean(end.refused);
      attempt = end.wasLive ? 1 : attempt + 1;
      // The server spreads the times in its `bye` itself.
      const wait = end.bye ? retry : end.silent && attempt === 1 ? SPREAD * Math.random() : backOff(attempt, retry);
      this.#to({ name: "waiting", attempt, until: Date.now() + wait, why: end.why ?? "The ticket was too old" });
      await this.#wait(wait, closed);
    }
  }

  /** One connection, from request to end -> {why, wasLive, bye, silent, refused}. */
  async #once(closed, setRetry) {
    const stop = new AbortController();
    const onClose = () => stop.abort();
    closed.addEventListener("abort", onClose);
    let why = "The connection was lost";
    let silent = false;
    let timer;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        silent = true;
        why = "The server went silent";
        stop.abort();
      }, this.#silence);
    };
    const session = { wasLive: false, bye: null, resuming: Boolean(this.lastId) };
    try {
      alive();
      const ticket = this.#ticket && (await this.#freshTicket());
      if (this.#ticket && !ticket) return { why: "There is no ticket for it" };
      alive();
      const headers = this.lastId ? { "Last-Event-ID": this.lastId } : {};
      const response = await fetch(this.#address(ticket), { headers, signal: stop.signal, cache: "no-store" });
      const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
      if (response.status === 400) return { refused: 400, text: (await response.text()).slice(0, 500) };
      if (response.status === 401 || response.status === 403) return { refused: response.status };
      if (response.ok && !isStream) return { refused: response.redirected ? 401 : 404 }; // a login page, or not ours
      if (!response.ok) return { why: `The server answered ${response.status}` };
      await this.#read(response, session, { closed, alive, setRetry });
    } catch (error) {
      if (!stop.signal.aborted && !(error instanceof TypeError)) throw error; // a TypeError is the network's
      if (why.startsWith("The connection") && !session.wasLive) why = "The server cannot be reached";
    } finally {
      clearTimeout(timer);
      closed.removeEventListener("abort", onClose);
      stop.abort();
    }
    if (session.bye) why = BYE[session.bye] ?? "The server closed the stream";
    return { why, silent, wasLive: session.wasLive, bye: session.bye };
  }

  /** What the page's function gives; null if it fails: tried again later. */
  async #freshTicket() {
    try {
      return await this.#ticket();
    } catch (error) {
      console.warn("no ticket for the stream:", error);
      return null;
    }
  }

  async #read(response, session, { closed, alive, setRetry }) {
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    const parser = new EventStreamParser();
    let sliceStart = performance.now();
    for (;;) {
      const { value, done } = await reader.read();
      if (done || closed.aborted) return;
      alive();
      const events = parser.feed(decoder.decode(value, { stream: true }));
      if (parser.retry !== null) setRetry(parser.retry);
      this.#handle(events, session, closed);
      if (closed.aborted) return;
      if (performance.now() - sliceStart > SLICE) {
        await new Promise((resume) => setTimeout(resume));
        sliceStart = performance.now();
      }
    }
  }

  /** Hands on runs of messages as one array, everything else one by one, in order. */
  #handle(events, session, closed) {
    let messages = [];
    const flush = () => {
      if (!messages.length) return;
      const newest = messages[messages.length - 1].id;
      this.#on({ is: "messages", messages });
      if (newest && !closed.aborted) this.#watchLag(positionMs(newest));
      messages = [];
    };
    for (const { name, data, id } of events) {
      if (closed.aborted) return; // by one of the functions just called
      if (id) this.lastId = id;
      if (name === "message") {
        messages.push({ id, data });
        continue;
      }
      flush();
      if (closed.aborted) return;
      if (name === "") this.#on({ is: "place", id });
      else this.#named(name, JSON.parse(data), id, session);
    }
    flush();
  }

  #named(name, facts, id, session) {
    if (name === "hello") {
      this.#clock = facts.now - Date.now();
      if (facts.heartbeat > 0) this.#silence = facts.heartbeat * 1000 * SILENT;
      this.#to({ name: "catching" });
      this.#on({ is: "hello", facts });
      // The server does not know the place where this page was: what follows is recent history.
      if (session.resuming && facts.resumed === false) this.#on({ is: "gap", gap: { from: null, to: facts.position, reason: "unknown", missed: null }, id: null });
    } else if (name === "live") {
      session.wasLive = true;
      // Everything up to here has been sent: a resume starts here even if no message matched so far.
      this.lastId = facts.position ?? this.lastId;
      this.#on({ is: "place", id: this.lastId });
      this.#to({ name: "live" });
      this.#on({ is: "live", facts });
    } else if (name === "gap") {
      this.#on({ is: "gap", gap: facts, id });
    } else if (name === "loss") {
      this.#on({ is: "loss", loss: facts });
    } else if (name === "source") {
      // The connection is whole, but the server hears nothing from Redis: nothing that is published now would come.
      if (!session.wasLive) return;
      if (facts.state === "silent") this.#to({ name: "silent", since: Date.now() - facts.seconds * 1000 });
      else if (this.#state.name === "silent") this.#to({ name: "live" });
    } else if (name === "position") {
      this.#on({ is: "place", id });
    } else if (name === "bye") {
      session.bye = facts.reason;
    }
  }

  #watchLag(ms) {
    if (this.#state.name === "silent") this.#to({ name: "live" });
    const { name } = this.#state;
    const lag = Date.now() + this.#clock - ms;
    if (name === "live" && lag > BEHIND) this.#to({ name: "behind", lag });
    else if (name === "behind") this.#to(lag > CAUGHT_UP ? { name: "behind", lag } : { name: "live" });
  }

  async #wait(ms, closed) {
    await new Promise((resume) => {
      const timer = setTimeout(resume, ms);
      this.#skipWait = resume;
      closed.addEventListener("abort", resume, { once: true });
      closed.addEventListener("abort", () => clearTimeout(timer), { once: true });
    });
    this.#skipWait = null;
  }
}

const BYE = {
  shutdown: "The server is restarting",
  age: "The server renews the connection",
  overload: "The server is busy",
};
