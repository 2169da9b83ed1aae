// Text of an event stream, in pieces -> events {name, data, id}. Pure.
// The rules: "Interpreting an event stream" in the HTML standard.

export class EventStreamParser {
  #rest = "";
  #name = "";
  #data = [];
  #id = null;
  #started = false;

  /** Milliseconds of the last `retry:` field, null before the first. */
  retry = null;

  /**
   * Takes the next piece of text and returns the events that it completes. An event's `id` is null when it has none;
   * an id on its own, which moves the place to resume at, comes as an event without name and data.
   */
  feed(text) {
    const events = [];
    if (!this.#started && text) {
      this.#started = true;
      if (text[0] === "\ufeff") text = text.slice(1);
    }
    text = this.#rest + text;
    let from = 0;
    for (;;) {
      const end = lineEnd(text, from);
      // A CR at the very end may be the first half of CR LF: wait for the next piece.
      if (end < 0 || (text[end] === "\r" && end === text.length - 1)) break;
      this.#line(text.slice(from, end), events);
      from = text[end] === "\r" && text[end + 1] === "\n" ? end + 2 : end + 1;
    }
    this.#rest = text.slice(from);
    return events;
  }

  #line(line, events) {
    if (line === "") {
      if (this.#data.length) events.push({ name: this.#name || "message", data: this.#data.join("\n"), id: this.#id });
      else if (this.#id !== null) events.push({ name: "", data: "", id: this.#id });
      this.#name = "";
      this.#data = [];
      this.#id = null;
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return; // a comment, such as a heartbeat
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#name = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
  }
}

function lineEnd(text, from) {
  const lf = text.indexOf("\n", from);
  const cr = text.indexOf("\r", from);
  if (cr < 0) return lf;
  return lf < 0 ? cr : Math.min(lf, cr);
}
