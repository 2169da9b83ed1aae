// The reader's scrolling -> follow the newest end, or pause. Only what a person does pauses: rows that arrive, a resized
// window and estimated heights move the list as well.

const RECENT = 700; // ms after wheel, touch or key in which a scroll counts as the reader's

export function watchScrolling(list, { atNewest, onLeave, onReturn, keepAtNewest }) {
  let last = -Infinity;
  let held = false;
  const mark = () => (last = performance.now());
  for (const name of ["wheel", "touchmove", "keydown"]) list.addEventListener(name, mark, { passive: true });
  document.addEventListener("keydown", mark);
  list.addEventListener("pointerdown", () => (held = true)); // the scroll bar
  document.addEventListener("pointerup", () => (held = false));
  document.addEventListener("pointercancel", () => (held = false));
  list.addEventListener("scroll", () => {
    const byReader = held || performance.now() - last < RECENT;
    if (atNewest()) onReturn();
    else if (byReader) onLeave();
    else keepAtNewest();
  });
}
