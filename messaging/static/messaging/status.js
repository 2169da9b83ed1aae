// The stream's state, the store's numbers -> the badge, the banner, the foot and the title.

import { $ } from "./dom.js";
import { ago, count, messages, span } from "./format.js";

const WORDS = {
  connecting: () => "Connecting",
  catching: () => "Catching up",
  live: () => "Live",
  behind: ({ lag }) => `Behind by ${span(lag)}`,
  silent: ({ since }) => `Redis silent for ${span(Date.now() - since)}`,
  waiting: ({ until, attempt }) => {
    const seconds = Math.ceil((until - Date.now()) / 1000);
    return (seconds > 0 ? `Reconnecting in ${seconds} s` : "Reconnecting") + (attempt > 1 ? `, attempt ${attempt}` : "");
  },
  refused: ({ why }) => ({ 400: "Bad filter", 404: "No stream here" })[why] ?? "Signed out",
  stopped: () => "Stopped",
  asleep: () => "Asleep",
};

/** What a screen reader hears: once a state, not once a second. */
const SPOKEN = {
  connecting: "Connecting to the log",
  catching: "Catching up with the log",
  live: "Live",
  behind: "Live, but behind",
  silent: "Redis does not answer the server, no messages come",
  waiting: "Connection lost, reconnecting",
  refused: "Refused by the server",
  stopped: "Stopped",
  asleep: "Asleep while the page is hidden",
};

export function showState(state) {
  const badge = $("state");
  const text = WORDS[state.name](state);
  if ($("state-text").textContent !== text) $("state-text").textContent = text;
  if (badge.dataset.state !== state.name) {
    badge.dataset.state = state.name;
    $("state-spoken").textContent = SPOKEN[state.name];
  }
  const signedOut = state.name === "refused" && (state.why === 401 || state.why === 403);
  badge.disabled = state.name !== "waiting" && !signedOut;
  badge.title = { waiting: `${state.why ?? ""}. Click to try now.`, refused: signedOut ? "You are signed out, or may no longer view messages. Click to sign in" : (state.text ?? ""), behind: "This page shows messages later than they are logged", silent: "The server has no answer from Redis: what is published meanwhile is shown when it is back" }[state.name] ?? "";
}

/** `why` is "you", "scroll" or "place" (the reader looks at a place in the past); `matching` counts the waiting messages that the search lets through, null without a search. */
export function showPause({ paused, why, waiting, matching, cap }) {
  const button = $("pause");
  button.toggleAttribute("data-paused", paused);
  $("pause-text").textContent = paused ? "Resume" : "Pause";
  $("banner").hidden = !paused;
  if (!paused) return;
  const news = waiting ? `${count(waiting)} new${matching === null ? "" : `, ${count(matching)} of them match`}` : "nothing new yet";
  const reason = { scroll: " · scrolled away from the newest", place: " · the marked message" }[why] ?? "";
  const over = waiting > cap ? ` · only the newest ${count(cap)} are kept` : "";
  $("banner-text").title = $("banner-text").textContent = `Paused: ${news}${over}${reason}`;
  $("banner-resume").textContent = why === "you" ? "Resume" : "To the newest";
}

export function showFoot({ store, rows, search, retention, now }) {
  const { dropped } = store;
  const gone = dropped ? `, ${count(dropped)} older ones left it` : "";
  $("foot-shown").textContent = search ? `${count(rows.matching)} of ${messages(store.messages)} match` : `${messages(store.messages)} here${gone}`;
  if (!retention) return;
  const oldest = retention.oldest === null ? "empty so far" : `oldest ${ago(retention.oldest, now)}`;
  const holds = retention.entries < store.messages ? "" : `holds ${count(retention.entries)}, `; // counted by the server now and then
  $("foot-kept").textContent = `The log ${holds}keeps ${count(retention.cap)} · ${oldest}`;
}

export function showTitle({ paused, waiting, state }) {
  const mark = state === "waiting" || state === "refused" || state === "silent" ? "⚠ " : "";
  document.title = `${paused && waiting ? `(${count(waiting)}) ` : ""}${mark}Live log`;
}
