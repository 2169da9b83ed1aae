// Buttons and keys of the live page -> what they do. The page itself says what that is.

import { $ } from "./dom.js";
import { bindKeys } from "./keys.js";

/**
 * `page`: {togglePause, resume, clear, toggle(option), togglePublish, search(text), retry, rowClicked(record), step(n),
 * openSelected, closePanel, newest, context}; those that return false have done nothing.
 */
export function bindControls(page) {
  const click = (id, act) => $(id)?.addEventListener("click", act);
  const help = () => $("help").showModal();
  click("pause", page.togglePause);
  click("banner-resume", page.resume);
  click("clear", page.clear);
  click("wrap", () => page.toggle("wrap"));
  click("order", () => page.toggle("newestFirst"));
  click("zone", () => page.toggle("utc"));
  click("help-open", help);
  click("help", (event) => event.target === $("help") && $("help").close());
  click("publish-open", page.togglePublish);
  click("state", page.retry);
  document.querySelector("[data-close]")?.addEventListener("click", page.closePanel);
  $("search").addEventListener("input", (event) => page.search(event.target.value));
  click("rows", (event) => {
    const record = event.target.closest(".row")?.record;
    if (record && getSelection().isCollapsed) page.rowClicked(record);
  });
  bindKeys({
    "/": () => $("search").select(),
    " ": page.togglePause,
    j: () => page.step(1),
    k: () => page.step(-1),
    ArrowDown: () => page.step(1),
    ArrowUp: () => page.step(-1),
    Enter: page.openSelected,
    Escape: () => ($("panel").hidden || document.querySelector(":popover-open") ? false : page.closePanel()),
    g: page.newest,
    c: page.clear,
    d: () => $("columns-open").click(),
    f: () => $("jump-open").click(),
    s: () => $("saved-open").click(),
    e: () => $("export-open").click(),
    x: page.context,
    o: () => page.toggle("newestFirst"),
    w: () => page.toggle("wrap"),
    u: () => page.toggle("utc"),
    p: page.togglePublish,
    t: () => document.querySelector(".theme-toggle").click(),
    "?": help,
  });
}

/** {newestFirst, wrap, utc} -> the buttons and the list. */
export function showOptions({ newestFirst, wrap, utc }) {
  $("log").classList.toggle("wrap", wrap);
  $("log").classList.toggle("oldest", !newestFirst);
  $("wrap").setAttribute("aria-pressed", wrap);
  $("order").setAttribute("aria-pressed", newestFirst);
  $("order").ariaLabel = $("order").title = newestFirst ? "Newest first; click for oldest first" : "Oldest first; click for newest first";
  $("zone").textContent = utc ? "UTC" : "local";
  $("head-time").textContent = utc ? "Time (UTC)" : "Time";
}
