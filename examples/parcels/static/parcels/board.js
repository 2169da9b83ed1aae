// Messages about saved parcels -> the rows of the board.

import { subscribe } from "../messaging/stream.js";

const board = document.getElementById("board");
const { stream, position, change } = board.dataset;

function show({ id, name, state }) {
  let row = board.querySelector(`[data-id="${id}"]`);
  if (!row) {
    row = board.tBodies[0].insertRow();
    row.dataset.id = id;
    row.insertCell().append(Object.assign(document.createElement("a"), { href: change.replace("0", id) }));
    row.insertCell();
  }
  row.cells[0].firstChild.textContent = name;
  row.cells[1].textContent = state;
  row.classList.remove("changed");
  requestAnimationFrame(() => row.classList.add("changed"));
}

subscribe(["parcels.saved"], (message) => show(message.data), {
  url: stream,
  position, // where the log stood when the server read the parcels: nothing falls between page and stream
  gap: () => location.reload(), // something may be missing: the server knows
  state: ({ name }) => (document.getElementById("state").textContent = name === "live" ? "Up to date" : "Connecting"),
});
