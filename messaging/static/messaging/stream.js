// Live messages for any page of the site: the module that other people's templates import. Needs nothing but a browser.
//
//   import { subscribe } from "{% static 'messaging/stream.js' %}";
//
//   const subscription = subscribe(["orders.*"], (message) => {
//     document.getElementById("total").textContent = message.data.total;
//   });
//   subscription.close();
//
// All subscriptions of all tabs of a browser share one connection (sharing.js). It comes back by itself after an outage
// and resumes where it was. A page that is hidden for half a minute lets go of it, and catches up when it is looked at.
//
// A message is {channel, data, type, time, id, source, key, at, position, event, cut}: see frame.js.
//
// Options, all of them optional:
//
//   url         of the stream: "/messages/stream" ({% url 'messaging:stream' %})
//   position    start right behind this place in the log: "{{ position }}", where the view has asked
//               messaging.places.position() before its queries, so that nothing falls between the page and the stream
//   last        without a position: begin with so many messages of the past (none)
//   gap(gap)    something may be missing: {reason, missed, from, to}. Reload what the page shows
//   loss(loss)  a gap that the listener has recorded, at its place among the messages: {reason, missed, from, to, partition,
//               noticed}. In the messages of the past, or as it is noticed after a restart of Redis
//   state(s)    {name}: connecting, catching, live, behind {lag}, silent {since} (the server has no answer from Redis),
//               waiting {attempt, until, why}, refused {why, text}, asleep, stopped
//   live(facts) history and what was missed have been delivered; from now on messages are new
//   scope       pages with the same URL and scope share; give the user's id where several may use one browser profile
//   share       false: a connection of its own
//   ticket()    for a page on another host: gives a ticket, or a promise of one, which your server has made with
//               messaging.live.tickets.ticket(). Asked before each attempt to connect: a ticket begins a stream for a minute
//
// The server decides who may listen: without the permission the state is "refused".

import { toMessage } from "./frame.js";
import { Member } from "./sharing.js";

export class Subscription {
  #member;
  #handlers;
  #clock = 0; // the server's clock minus ours

  /** `handlers` as the options of `subscribe`; also `messages([{id, data}])`, frames as they came, and `hello(facts)`. */
  constructor(url, handlers = {}) {
    this.#handlers = handlers;
    this.#member = new Member(url, (item) => this.#take(item), handlers);
  }

  /** {name, ...}, see above. */
  get state() {
    return this.#member.state;
  }

  /** Up to where everything has been delivered; null while nothing is known. Give it to `open` to go on from there. */
  get position() {
    return this.#member.lastId;
  }

  /** Where messages come from: "own" connection, "leader" of the tabs, "follower", "asleep" or "closed". */
  get role() {
    return this.#member.role;
  }

  /** The server's time in milliseconds, as well as it is known. */
  now() {
    return Date.now() + this.#clock;
  }

  /** Starts, or starts anew with other channels or from another place: {channels, last, position}. */
  open(options) {
    this.#member.open(options);
  }

  close() {
    this.#member.close();
  }

  /** Does not wait any longer for the next attempt to connect. */
  retryNow() {
    this.#member.retryNow();
  }

  #take(item) {
    const { state, hello, messages, live, gap, loss } = this.#handlers;
    if (item.is === "state") state?.(item.state);
    else if (item.is === "messages") messages?.(item.messages);
    else if (item.is === "gap") gap?.(item.gap);
    else if (item.is === "loss") loss?.(item.loss);
    else if (item.is === "live") live?.(item.facts);
    else if (item.is === "hello") {
      this.#clock = item.facts.now - Date.now();
      hello?.(item.facts);
    }
  }
}

/** Calls `onMessage(message)` for each message on channels that match any of the patterns (none: all), in order. */
export function subscribe(channels, onMessage, options = {}) {
  const { url = "/messages/stream", position = null, last = 0, ...handlers } = options;
  const messages = (frames) => {
    for (const frame of frames) {
      const message = toMessage(frame);
      if (!message) continue;
      try {
        onMessage(message);
      } catch (error) {
        reportError(error); // one message that a page cannot deal with must not cost it the others
      }
    }
  };
  const subscription = new Subscription(url, { ...handlers, messages });
  subscription.open({ channels, last, position: position || null });
  return subscription;
}
