// The words that are looked for -> marks on the rows in sight, with the CSS Custom Highlight API: the rows stay as they
// are. A browser that does not have it shows no marks.

const MOST = 500; // marks at once: a letter may be everywhere

export class Hits {
  #rows;
  #words = [];
  #marks = null;
  #scheduled = false;

  /** `rows.inSight()` gives the rows to be marked; `list` is what scrolls. */
  constructor(rows, list) {
    if (!CSS.highlights) return;
    this.#rows = rows;
    this.#marks = new Highlight();
    CSS.highlights.set("hit", this.#marks);
    list.addEventListener("scroll", () => this.#soon(), { passive: true });
  }

  /** Drawn by the next `mark`. */
  set words(words) {
    this.#words = words.map((word) => word.toLowerCase());
  }

  /** Marks anew. Called behind each drawing, so that its cost counts as part of that. */
  mark() {
    if (!this.#marks) return;
    this.#marks.clear();
    if (!this.#words.length) return;
    for (const row of this.#rows.inSight()) {
      for (const cell of row.querySelectorAll(".channel, .cell, .payload")) {
        for (const range of rangesOf(cell, this.#words)) {
          this.#marks.add(range);
          if (this.#marks.size >= MOST) return;
        }
      }
    }
  }

  #soon() {
    if (this.#scheduled || !this.#words.length) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.mark();
    });
  }
}

/** Where the words stand in an element's text, over the borders of the elements inside it. */
function* rangesOf(element, words) {
  const nodes = [];
  let text = "";
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    nodes.push({ node, start: text.length });
    text += node.data;
  }
  const lower = text.toLowerCase();
  if (lower.length !== text.length) return; // İ is two signs then, and all behind it stands elsewhere
  for (const word of words) {
    for (let at = lower.indexOf(word); at >= 0; at = lower.indexOf(word, at + word.length)) {
      const end = at + word.length;
      const first = nodes.findLast(({ start }) => start <= at);
      const last = nodes.findLast(({ start }) => start < end);
      yield new StaticRange({ startContainer: first.node, startOffset: at - first.start, endContainer: last.node, endOffset: end - last.start });
    }
  }
}
