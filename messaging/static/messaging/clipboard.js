// Text -> the clipboard, on plain HTTP too, where navigator.clipboard does not exist.

import { el, icon } from "./dom.js";

export async function copy(text) {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {} // not allowed: the old way may still be
  }
  const area = el("textarea.unseen", { readonly: true, "aria-hidden": "true" });
  area.value = text;
  const focused = document.activeElement;
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  focused?.focus?.();
  return done;
}

/** Copies and shows on the button, for a moment, whether it worked. `text` may be a function. */
export async function copyFrom(button, text) {
  const done = await copy(typeof text === "function" ? await text() : text);
  const before = [...button.childNodes];
  if (button.dataset.busy) return;
  button.dataset.busy = "1";
  button.classList.toggle("copied", done);
  const said = done ? "Copied" : "Not allowed";
  button.replaceChildren(icon(done ? "check" : "alert"), ...(before.some((node) => node.nodeType === 3 || node.tagName === "SPAN") ? [el("span", {}, said)] : [el("span.unseen", { role: "status" }, said)]));
  setTimeout(() => {
    button.replaceChildren(...before);
    button.classList.remove("copied");
    delete button.dataset.busy;
  }, 1400);
}

export function copyButton(label, text) {
  return el("button.icon-button.copy", { type: "button", title: label, "aria-label": label, onclick: (event) => copyFrom(event.currentTarget, text) }, icon("copy"));
}
