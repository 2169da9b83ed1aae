// A stream's URL and channels -> messages, gaps and the connection's state, for ever. No DOM.
//
// Read with fetch and not with EventSource, which hides what this needs: the status of a refusal (403 is final, 503 is
// not), heartbeats (a connection that died without a word is noticed after STALL), and back-pressure (a page that is
// busy makes the server wait instead of filling its own memory). On the wire it is the same: text/event-stream,
// `retry:`, and the `Last-Event-ID` header to resume.

import { EventStreamParser } from "./sse.js";

const STALL = 40_000; // the server sends a heartbeat every 15 s
const LONGEST_WAIT = 30_000;
const BEHIND = 5_000; // messages older than this while live: the page cannot keep up
const CAUGHT_UP = 1_500;
const SLICE = 12; // ms of work before the browser gets a turn

/** The milliseconds in a position `<epoch>.<ms>-<seq>` or a location `<partition>.<ms>-<seq>`. */
export function positionMs(position) {
  return Number(position.slice(position.indexOf(".") + 1, position.indexOf("-")));
}

/** What to wait before the next attempt: `retry` doubled each time, at most 30 s, spread by half to both sides. */
export function backOff(attempt, retry, random = Math.random) {
  const wait = Math.min(LONGEST_WAIT, retry * 2 ** Math.min(attempt - 1, 10));
  return Math.round(wait * (0.5 + random()));
}

/**
 * `on` has functions: `state({name, ...})`, `messages([{id, data}])`, `hello(facts)`, `live(facts)`, `gap(facts)`.
 * States: connecting, catching, live, behind {lag}, waiting {attempt, until, why}, refused {why, text}, stopped.
 */
export class LogStream {
  #url;
  #on;
  #abort = null;
  #skipWait = null;
  #query = "";
  #state = { name: "stopped" };
  #clock = 0; // the server's clock minus ours
  lastId = null;

  constructor(url, on) {
    this.#url = url;
    this.#on = on;
  }

  get state() {
    return this.#state;
  }

  /** The server's time in milliseconds, as well as it is known. */
  now() {
    return Date.now() + this.#clock;
  }

  /** Starts anew. `position` resumes after that message; without it the last `last` messages come first. */
  open({ channels = [], last = 200, position = null } = {}) {
    this.close();
    const query = new URLSearchParams(channels.map((name) => ["channel", name]));
    query.append("last", last);
    this.#query = query.toString();
    this.lastId = position;
    this.#abort = new AbortController();
    this.#run(this.#abort.signal);
  }

  close() {
    this.#abort?.abort();
    this.#abort = null;
    this.#to({ name: "stopped" });
  }

  /** Ends a wait between two attempts. */
  retryNow() {
    this.#skipWait?.();
  }

  #to(state) {
    this.#state = state;
    this.#on.state?.(state);
  }

  async #run(closed) {
    let attempt = 0;
    let retry = 2000;
    while (!closed.aborted) {
      if (attempt === 0) this.#to({ name: "connecting" });
      const end = await this.#once(closed, (value) => (retry = value));
      if (closed.aborted) return;
      if (end.refused) return this.#to({ name: "refused", why: end.refused, text: end.text });
      attempt = end.wasLive ? 1 : attempt + 1;
      // The server spreads the times in its `bye` itself.
      const wait = end.bye ? retry : backOff(attempt, retry);
      this.#to({ name: "waiting", attempt, until: Date.now() + wait, why: end.why });
      await this.#wait(wait, closed);
    }
  }

  /** One connection, from request to end -> {why, wasLive, bye, refused}. */
  async #once(closed, setRetry) {
    const stop = new AbortController();
    const onClose = () => stop.abort();
    closed.addEventListener("abort", onClose);
    let why = "The connection was lost";
    let timer;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        why = "The server went silent";
        stop.abort();
      }, STALL);
    };
    const session = { wasLive: false, bye: null, resuming: Boolean(this.lastId) };
    try {
      alive();
      const headers = this.lastId ? { "Last-Event-ID": this.lastId } : {};
      const response = await fetch(`${this.#url}?${this.#query}`, { headers, signal: stop.signal, cache: "no-store" });
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
    return { why, wasLive: session.wasLive, bye: session.bye };
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
    let batch = [];
    const flush = () => {
      if (!batch.length) return;
      const newest = batch[batch.length - 1].id;
      this.#on.messages?.(batch);
      if (newest && !closed.aborted) this.#watchLag(positionMs(newest));
      batch = [];
    };
    for (const event of events) {
      if (closed.aborted) return; // by one of the functions just called
      if (event.id) this.lastId = event.id;
      if (event.name === "message") {
        batch.push(event);
        continue;
      }
      flush();
      if (closed.aborted) return;
      if (event.name === "hello") {
        const facts = JSON.parse(event.data);
        this.#clock = facts.now - Date.now();
        this.#to({ name: "catching" });
        this.#on.hello?.(facts);
        // The server does not know the place where this page was: what follows is recent history.
        if (session.resuming && facts.resumed === false) this.#on.gap?.({ from: null, to: facts.position, reason: "unknown", missed: null });
      } else if (event.name === "live") {
        const facts = JSON.parse(event.data);
        session.wasLive = true;
        // Everything up to here has been sent: a resume starts here even if no message matched so far.
        this.lastId = facts.position ?? this.lastId;
        this.#to({ name: "live" });
        this.#on.live?.(facts);
      } else if (event.name === "gap") {
        this.#on.gap?.(JSON.parse(event.data));
      } else if (event.name === "bye") {
        session.bye = JSON.parse(event.data).reason;
      }
    }
    flush();
  }

  #watchLag(ms) {
    const { name } = this.#state;
    const lag = this.now() - ms;
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
