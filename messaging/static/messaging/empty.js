// Why there are no rows -> the words that say so, and what can be done.

import { copyButton } from "./clipboard.js";
import { isCurrent } from "./connection.js";
import { $, el } from "./dom.js";
import { MOST_LAST } from "./filters.js";
import { count } from "./format.js";

const button = (text, onclick) => el("button.button", { type: "button", onclick }, text);

const card = (title, text, ...actions) => el("div.empty-card", {}, el("h2", {}, title), el("p", {}, text), el("div.actions", {}, ...actions));

/** Three ways to publish: a part of the page's template. */
function teaching() {
  const part = $("empty-teach").content.cloneNode(true);
  for (const block of part.querySelectorAll(".try")) block.append(copyButton("Copy", block.querySelector("pre").textContent));
  return part;
}

/**
 * `facts`: {shown, messages, waiting, cleared, channels, from, stored, more, state}: `stored` is where stored messages are
 * searched, or ""; `more()` loads more messages, or null. `act`: {clearSearch, allChannels, again, backToLive, when}.
 */
export function showEmpty({ shown, messages, waiting, cleared, channels, from, stored, more, state }, act) {
  const settled = isCurrent(state);
  let reason = "";
  if (shown) reason = "";
  else if (state.name === "refused" && state.text) reason = "refused";
  else if (messages) reason = `search ${more ? "more" : "all"} ${stored}`;
  else if (settled && !waiting) reason = cleared ? "cleared" : from !== null ? "since" : channels.length ? `channels ${channels.join(", ")}` : "teach";
  const box = $("empty");
  if (box.dataset.reason === reason) return;
  box.dataset.reason = reason;
  box.hidden = !reason;
  if (!reason) return;
  const [kind] = reason.split(" ");
  box.replaceChildren(
    {
      teach: teaching,
      search: () =>
        card(
          "No message matches",
          "The search looks through what this page holds. New messages that match will appear.",
          button("Clear the search", act.clearSearch),
          more && button(`Search the last ${count(MOST_LAST)}`, more),
          stored && el("a.button", { href: stored }, "Search the stored messages"),
        ),
      refused: () => card("The server does not take this filter", state.text, button("Listen to all channels", act.allChannels)),
      channels: () => card("Nothing here yet", `This page is listening to ${channels.join(", ")}.`, button("Listen to all channels", act.allChannels)),
      since: () => card("Nothing since then", `No message has come since ${act.when(from)}.`, button("Back to live", act.backToLive)),
      cleared: () => card("Cleared", "New messages will appear. Nothing was deleted.", button("Show recent messages again", act.again)),
    }[kind](),
  );
}
