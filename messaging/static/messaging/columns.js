// Fields of payloads -> columns of the list: a box to choose them, cells, the head. And the same fields as suggestions
// for the search field.

import { visible } from "./code.js";
import { $, el } from "./dom.js";
import { fieldOf, isPath, pathsOf } from "./paths.js";
import { placeBelow } from "./popover.js";

const MOST = 8;
const LOOKED_AT = 300; // of the newest messages
const OFFERED = 40;

const nameOf = (path) => path.replace(/^data\./, "");

/** The cells of one message. */
export const cellsOf = (record, columns) =>
  columns.map((path) => {
    const text = fieldOf(record, path);
    const shown = text === null ? "" : visible(text);
    return el(`span.cell${shown ? "" : ".none"}`, { role: "gridcell", title: shown && `${path}: ${shown}`, "data-path": nameOf(path) }, shown);
  });

/** `address.columns` -> the head of the list and the width of its cells. */
export function showColumns({ columns }) {
  const head = $("head-payload");
  for (const old of [...head.parentElement.querySelectorAll(".cell")]) old.remove();
  head.before(...columns.map((path) => el("span.cell", { role: "columnheader", title: path }, nameOf(path))));
  $("log").classList.toggle("fields", columns.length > 0);
  $("log").style.setProperty("--fields", `repeat(${columns.length || 1}, minmax(40px, 1fr))`);
  $("columns-open").setAttribute("aria-pressed", String(columns.length > 0));
}

/** `records()` gives the messages of the page; `use(columns)` shows others. */
export function watchColumns({ address, records, use }) {
  let said = "";
  const seen = () => pathsOf(records().slice(-LOOKED_AT));
  const toggle = (path) => {
    const without = address.columns.filter((other) => other !== path);
    said = "";
    if (without.length === address.columns.length && without.length >= MOST) said = `At most ${MOST} columns.`;
    else use(without.length < address.columns.length ? without : [...without, path]);
    fill();
    [...$("columns-list").querySelectorAll("input")].find((box) => box.value === path)?.focus();
  };
  const fill = () => {
    const chosen = address.columns;
    const offered = seen().filter((path) => !chosen.includes(path)).slice(0, OFFERED);
    const line = (path) => el("li", {}, el("label.pick", {}, el("input", { type: "checkbox", value: path, checked: chosen.includes(path), onchange: () => toggle(path) }), " ", el("code", {}, path)));
    $("columns-list").replaceChildren(...[...chosen, ...offered].map(line));
    $("columns-none").hidden = chosen.length + offered.length > 0;
    $("columns-said").textContent = said;
  };
  $("columns-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const path = $("columns-path").value.trim();
    if (!isPath(path)) {
      $("columns-said").textContent = "Such as data.user.id, or an attribute such as key.";
      return;
    }
    $("columns-path").value = "";
    if (!address.columns.includes(path)) toggle(path);
  });
  placeBelow($("columns-open"), $("columns"), () => ((said = ""), fill()));
  suggest(seen);
}

/** While a word of the search is typed: how it may go on. The browser shows the list, below the field. */
function suggest(seen) {
  const field = $("search");
  const fill = () => {
    const typed = field.value;
    const word = /\S*$/.exec(typed)[0];
    const begin = word.replace(/^-/, "");
    const terms = ["channel", "type", "id", "key", ...seen().filter((path) => path.startsWith("data."))];
    const found = begin && !begin.includes(":") ? terms.filter((path) => path.startsWith(begin) || nameOf(path).startsWith(begin)) : [];
    const kept = typed.slice(0, typed.length - begin.length);
    $("search-paths").replaceChildren(...found.slice(0, 12).map((path) => el("option", { value: `${kept}${path}:` })));
  };
  field.addEventListener("input", fill);
  field.addEventListener("focus", fill);
}
