// What the reader types about when -> a moment to go to, said back before it is used.

import { $ } from "./dom.js";
import { fullTime } from "./format.js";
import { momentOf } from "./moments.js";
import { placeBelow } from "./popover.js";

/** `to(ms)` goes there. */
export function watchJump({ options, now, to }) {
  const input = $("jump-input");
  const said = $("jump-said");
  const read = () => momentOf(input.value, { now: now(), utc: options.utc });
  const say = () => {
    const ms = input.value.trim() ? read() : null;
    const future = ms !== null && ms > now();
    said.textContent = ms !== null ? (future ? "That is in the future." : fullTime(ms, options.utc)) : input.value.trim() ? "Such as: 10 min ago, yesterday 17:30, 2025-11-21 09:00" : "";
    said.classList.toggle("bad", ms === null && Boolean(input.value.trim()));
    return future ? null : ms;
  };
  input.addEventListener("input", say);
  const go = () => {
    const ms = say();
    if (ms === null) return input.focus();
    $("jump").hidePopover();
    to(ms);
  };
  $("jump-form").addEventListener("submit", (event) => (event.preventDefault(), go()));
  for (const button of $("jump").querySelectorAll("[data-when]")) {
    button.addEventListener("click", () => {
      input.value = button.dataset.when;
      go();
    });
  }
  placeBelow($("jump-open"), $("jump"), () => {
    input.value = "";
    say();
  });
}
