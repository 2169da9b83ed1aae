// A button and its box -> the box below the button, when it is open. The browser closes it: Escape, or a click elsewhere.

/** `onOpen` fills the box before it is placed. */
export function placeBelow(button, box, onOpen = () => {}) {
  if (!button || !box) return;
  button.setAttribute("aria-expanded", "false");
  box.addEventListener("beforetoggle", ({ newState }) => newState === "open" && onOpen());
  box.addEventListener("toggle", ({ newState }) => {
    button.setAttribute("aria-expanded", newState === "open");
    if (newState !== "open") return;
    const { bottom, right } = button.getBoundingClientRect();
    box.style.top = `${bottom + 6}px`;
    box.style.left = `${Math.max(8, Math.min(right - box.offsetWidth, innerWidth - box.offsetWidth - 8))}px`;
    box.querySelector("[autofocus]")?.focus();
  });
}
