// Keys -> actions; none while the reader types, holds Ctrl, Alt or Meta, or has a dialog open.

const TYPING = "input, textarea, select, [contenteditable]";

/** `actions` maps a key (`event.key`) to a function; it returns false when it had nothing to do. */
export function bindKeys(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
    const target = event.target;
    if (target.matches?.(TYPING)) {
      if (event.key === "Escape" && target.type === "search" && target.value === "") target.blur();
      else if (event.key === "Escape" && target.type !== "search") target.blur();
      return;
    }
    // A focused button or link takes Space and Enter itself.
    if ((event.key === " " || event.key === "Enter") && target.closest?.("button, a, summary, [role='tab']")) return;
    const act = actions[event.key];
    if (act && act(event) !== false) event.preventDefault();
  });
}
