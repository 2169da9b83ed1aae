// The remembered theme -> <html data-theme>, before the first paint. A classic script: modules run too late for that.
// Django's admin keeps the same key with the same values, so that both agree.
"use strict";
(() => {
  const root = document.documentElement;
  const names = { auto: "follows the system", light: "light", dark: "dark" };
  let kept = "auto";
  try {
    kept = localStorage.getItem("theme") || "auto";
  } catch {} // storage may be forbidden: then nothing is remembered

  function show(mode) {
    kept = Object.hasOwn(names, mode) ? mode : "auto";
    root.dataset.theme = kept;
    for (const button of document.querySelectorAll(".theme-toggle")) button.title = `Theme: ${names[kept]} (t)`;
    document.dispatchEvent(new CustomEvent("theme"));
  }

  function next() {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const order = dark ? ["auto", "light", "dark"] : ["auto", "dark", "light"];
    show(order[(order.indexOf(kept) + 1) % 3]);
    try {
      localStorage.setItem("theme", kept);
    } catch {}
  }

  show(kept);
  document.addEventListener("DOMContentLoaded", () => show(kept));
  document.addEventListener("click", (event) => event.target.closest?.(".theme-toggle") && next());
  window.addEventListener("storage", (event) => event.key === "theme" && show(event.newValue));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show(kept));
})();
