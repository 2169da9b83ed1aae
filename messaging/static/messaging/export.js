// The page's filters -> links to a file of all that they let through.

import { $ } from "./dom.js";
import { writeAddress } from "./filters.js";
import { placeBelow } from "./popover.js";

export function watchExport({ url, address }) {
  const fill = () => {
    const query = new URLSearchParams(address.channels.map((name) => ["channel", name]));
    if (address.search) query.append("q", address.search);
    if (address.from !== null) query.append("since", address.from);
    for (const form of ["ndjson", "csv"]) $(`export-${form}`).href = `${url}?form=${form}&${query}`;
    $("export-query").textContent = decodeURIComponent(writeAddress({ ...address, last: 200, around: null, columns: [] }).slice(1).replaceAll("+", " ")) || "everything";
  };
  for (const form of ["ndjson", "csv"]) $(`export-${form}`).addEventListener("click", () => $("export").hidePopover());
  placeBelow($("export-open"), $("export"), fill);
}
