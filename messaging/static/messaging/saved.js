// The page's filters under a name -> a list to choose from: what the project has set, and what this browser remembers.

import { $, el, icon } from "./dom.js";
import { readAddress, writeAddress } from "./filters.js";
import { placeBelow } from "./popover.js";
import { recall, remember } from "./prefs.js";

/** Only what filters, and the columns: a saved view has no moment in it. */
const filtersOf = ({ channels, search, columns }) => writeAddress({ channels, search, columns, last: 200 });

/** `address` is the page's; `use({channels, search, columns})` shows what was saved. */
export function watchSaved({ address, use }) {
  const projects = [...$("saved-filters").content.querySelectorAll("a")].map((link) => [link.textContent, link.getAttribute("href")]);
  const open = (query) => {
    $("saved").hidePopover();
    const { channels, search, columns } = readAddress(query);
    use({ channels, search, columns });
  };
  const line = (name, query, own) => {
    const current = filtersOf(readAddress(query)) === filtersOf(address);
    const forget = () => {
      remember("saved", recall("saved", []).filter(([other]) => other !== name));
      fill();
    };
    return el(
      "li",
      {},
      el("button.pick", { type: "button", "aria-current": current && "true", title: query, onclick: () => open(query) }, el("b", {}, name), el("span", {}, decodeURIComponent(query.replace(/^\?/, "").replaceAll("+", " ")) || "everything")),
      own && el("button.icon-button", { type: "button", "aria-label": `Forget ${name}`, title: "Forget", onclick: forget }, icon("x")),
    );
  };
  const fill = () => {
    const own = recall("saved", []);
    $("saved-list").replaceChildren(...projects.map(([name, query]) => line(name, query, false)), ...own.map(([name, query]) => line(name, query, true)));
    $("saved-none").hidden = projects.length + own.length > 0;
    $("saved-query").textContent = decodeURIComponent(filtersOf(address).slice(1).replaceAll("+", " ")) || "everything";
  };
  $("saved-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = $("saved-name").value.trim();
    if (!name) return $("saved-name").focus();
    remember("saved", [...recall("saved", []).filter(([other]) => other !== name), [name, filtersOf(address)]].sort());
    $("saved-name").value = "";
    fill();
  });
  placeBelow($("saved-open"), $("saved"), fill);
}
