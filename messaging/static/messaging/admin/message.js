// One message's page: a pending message is watched until it is stored; buttons copy. It can be read without.

import { copy } from "../clipboard.js";

const FIRST_PAUSE = 250; // milliseconds; grows by half each time
const LONGEST_PAUSE = 10_000;

const NOTHING = "…"; // where a value is still to come

const wanted = (button) => document.getElementById(button.dataset.copy).textContent;

const section = document.getElementById("state");

for (const button of document.querySelectorAll("[data-copy]")) {
  const label = button.textContent;
  button.hidden = wanted(button) === NOTHING;
  button.addEventListener("click", async () => {
    const done = await copy(wanted(button));
    button.textContent = done ? "Copied" : "Not allowed";
    setTimeout(() => (button.textContent = label), 1400);
  });
}

if (section.dataset.state === "pending") watch(FIRST_PAUSE);

async function watch(pause) {
  await new Promise((resolve) => setTimeout(resolve, pause));
  if (document.hidden) await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
  let answer = null;
  try {
    const response = await fetch(section.dataset.url, { headers: { Accept: "application/json" } });
    if (response.status === 404) return sentence("Its row has been deleted.");
    if (response.status === 403 || response.redirected) return sentence("You are signed out: sign in and reload the page.");
    if (response.ok) answer = await response.json();
  } catch {} // the server is away for a moment
  if (answer) show(answer);
  if (answer?.state === "pending" || !answer) watch(Math.min(pause * 1.5, LONGEST_PAUSE));
}

function show({ state, sentence: said, facts, notes }) {
  for (const [name, value] of Object.entries(facts)) for (const place of document.querySelectorAll(`[data-fact="${name}"]`)) set(place, value || NOTHING);
  for (const [name, note] of Object.entries(notes)) {
    set(document.querySelector(`[data-note="${name}"]`), note);
    document.querySelector(`[data-step="${name}"]`).classList.toggle("done", facts[name] !== "");
  }
  sentence(said);
  if (state === "pending") return;
  const badge = section.querySelector("[data-badge]");
  badge.className = `mb-badge mb-${state}`;
  badge.textContent = state;
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
  section.dataset.state = state;
}

function sentence(text) {
  set(section.querySelector("[data-sentence]"), text);
}

/** Only what differs, so that a screen reader is not told the same again. */
function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
