// A break in the rows (gap, hole, full page) -> the sentence that says what is missing and what can be done.

import { el } from "./dom.js";
import { MOST_LAST } from "./filters.js";
import { count, messages } from "./format.js";

/** `act`: {readFrom(position), backToLive()}; `storedUrl` is the list of stored messages, "" for those who may not. */
export function dividerNode(row, { act, storedUrl }) {
  const stored = storedUrl && el("a", { href: storedUrl }, "Open stored messages");
  const button = (text, onclick) => el("button.link-button", { type: "button", onclick }, text);
  if (row.note) return [el("b", {}, row.note), el("span", {}, "Here are the newest messages instead."), stored];
  if (row.full) {
    return [
      el("b", {}, "The page is full"),
      el("span", {}, `It holds ${messages(row.count)}.`),
      button("Continue from here", () => act.readFrom(row.position)),
      button("Back to live", () => act.backToLive()),
    ];
  }
  if (row.hole) {
    return [
      el("b", {}, `${messages(row.missed)} left out`),
      el("span", {}, `More came than this page keeps while it is paused (${count(row.cap)}).`),
      row.from && button("Load from there", () => act.readFrom(row.from)),
    ];
  }
  const { reason, missed, from } = row.gap;
  const skipped = missed === null ? "Messages may be missing here" : `${messages(missed)} skipped`;
  if (reason === "restarted") {
    return [el("b", {}, skipped), el("span", {}, "Redis was restarted here. A crash may have cost it what it had not written to disk yet.")];
  }
  if (reason === "rolled back") {
    return [el("b", {}, skipped), el("span", {}, "The log lost its end here: Redis came back from an older state."), stored];
  }
  if (reason === "reborn") {
    return [el("b", {}, "The log started anew"), el("span", {}, "Redis lost it, or it was emptied. Earlier messages are on the other side of this line; stored ones remain in the table."), stored];
  }
  if (reason === "unknown") {
    return [el("b", {}, skipped), el("span", {}, "The log does not know the place where this page was; it goes on with recent messages."), stored];
  }
  if (reason === "overrun") {
    return [el("b", {}, skipped), el("span", {}, "This page fell too far behind."), from && button("Load from there", () => act.readFrom(from)), stored];
  }
  return [el("b", {}, skipped), el("span", {}, "The log had dropped them before this page could read them. What was stored is in the table."), stored];
}

/** What stands behind the oldest row of the page. `more()` loads more of them, null where it would not. */
export function endOfRows({ dropped, stored, more }) {
  if (dropped) return ["Older messages have left this page."];
  if (more) return [el("button.link-button", { type: "button", onclick: more }, `Load the last ${count(MOST_LAST)} messages`)];
  return stored ? [el("a", { href: stored }, "Older ones: stored messages")] : [];
}
