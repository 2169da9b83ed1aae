// The page of one message: copy buttons, the channel's colour, arrow keys to its neighbours.

import { copyFrom } from "./clipboard.js";
import { hue } from "./dom.js";

for (const title of document.querySelectorAll("[data-channel]")) {
  if (title.dataset.channel) title.classList.add(hue(title.dataset.channel));
}
for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", () => copyFrom(button, document.getElementById(button.dataset.copy).textContent));
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest?.("input, textarea, pre")) return;
  const link = document.getElementById({ ArrowLeft: "earlier", ArrowRight: "later" }[event.key] ?? "");
  link?.click();
});
