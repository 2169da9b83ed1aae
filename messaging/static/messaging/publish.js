// What the reader types -> a POST to the publish view; its answer beside the fields.

import { $, el } from "./dom.js";
import { indented, problem } from "./jsontext.js";
import { recall, remember } from "./prefs.js";

const FIELDS = ["channel", "data", "type", "key"];

/** Is a text JSON? -> {kind: "empty" | "json" | "text" | "broken", why, at}; broken begins like an object or array. */
export function kindOf(text) {
  if (!text.trim()) return { kind: "empty" };
  try {
    JSON.parse(text);
    return { kind: "json" };
  } catch (error) {
    return /^\s*[{[]/.test(text) ? { kind: "broken", why: error.message, at: null, ...problem(text) } : { kind: "text" };
  }
}

function place(text, at) {
  const lines = text.slice(0, at).split("\n");
  return `, at line ${lines.length}, column ${lines.at(-1).length + 1}`;
}

export class PublishBox {
  #form = $("publish");
  #on;
  #waiting = null; // id of the event that waits in the outbox

  /** `on`: {sent(answer)}; does nothing on a page without the box. */
  constructor(on) {
    this.#on = on;
    if (!this.#form) return;
    const kept = recall("publish", {});
    for (const name of FIELDS) this.#field(name).value = kept[name] ?? "";
    $("publish-more").open = Boolean(kept.type || kept.key);
    this.#form.addEventListener("submit", (event) => (event.preventDefault(), this.#send()));
    this.#form.addEventListener("input", () => this.#changed());
    this.#form.addEventListener("reset", () => setTimeout(() => (this.#changed(), this.#say(null), this.#field("channel").focus())));
    this.#form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#form.requestSubmit();
    });
    $("publish-format").addEventListener("click", () => this.#format());
    $("publish-validate").addEventListener("click", () => this.#validate());
    this.#changed();
  }

  /** These have come: was it among them that the box has said waits? */
  saw(records) {
    const found = this.#waiting && records.find(({ event }) => event?.id === this.#waiting);
    if (!found) return;
    this.#waiting = null;
    this.#say({ text: `Published on ${found.channel} at ${found.at}, now that Redis is back.`, good: true });
  }

  get exists() {
    return this.#form !== null;
  }

  #field(name) {
    return this.#form.elements.namedItem(name);
  }

  show(visible) {
    if (!this.#form) return;
    this.#form.hidden = !visible;
    $("publish-open").setAttribute("aria-expanded", visible);
    if (visible) this.#field(this.#field("channel").value ? "data" : "channel").focus();
  }

  /** Fills the form from a record; its payload as it was published. */
  fill(record) {
    const type = record.type === record.channel ? "" : record.type;
    const values = { channel: record.channel, data: record.raw, type, key: record.event.partitionkey ?? "" };
    for (const name of FIELDS) this.#field(name).value = values[name];
    $("publish-more").open = Boolean(type || values.key);
    this.#say(record.kind === "binary" ? { text: "The payload is binary; its base64 would be sent as text.", bad: true } : null);
    this.#changed();
  }

  #changed() {
    const { kind, why } = this.#kind();
    const badge = $("publish-kind");
    badge.dataset.kind = kind;
    badge.textContent = { empty: "", json: "JSON", text: "Plain text", broken: "Broken JSON" }[kind];
    badge.title = why ?? "";
    $("publish-format").disabled = kind !== "json";
    remember("publish", Object.fromEntries(FIELDS.map((name) => [name, this.#field(name).value])));
  }

  #format() {
    const field = this.#field("data");
    const text = indented(field.value);
    if (text === null) return;
    field.value = text;
    this.#changed();
  }

  /** As the server will see it: "Send as plain text" makes everything a text. */
  #kind() {
    const found = kindOf(this.#field("data").value);
    return this.#form.elements.namedItem("kind").checked && found.kind !== "empty" ? { kind: "text" } : found;
  }

  #validate() {
    const field = this.#field("data");
    const { kind, why, at } = this.#kind();
    const said = { empty: "Empty: an empty text is sent.", json: "This is valid JSON.", text: "This is plain text, and is sent as such." };
    this.#error("data", kind === "broken" ? [`${why}${at === null ? "" : place(field.value, at)}.`] : []);
    this.#say(kind === "broken" ? null : { text: said[kind] });
    if (at === null || at === undefined) return;
    field.focus();
    field.setSelectionRange(at, Math.min(at + 1, field.value.length));
  }

  async #send() {
    const button = $("publish-send");
    if (button.disabled) return;
    for (const name of FIELDS) this.#error(name, []);
    this.#say(null);
    this.#waiting = null;
    if (!this.#field("channel").value.trim()) return this.#refused({ channel: ["On which channel?"] });
    button.disabled = true;
    try {
      // Not as multipart, which would make every line end CR LF. The form carries the token against forged requests.
      const body = new URLSearchParams(new FormData(this.#form));
      const response = await fetch(this.#form.action, { method: "POST", body, headers: { Accept: "application/json" } });
      const answer = response.headers.get("content-type")?.includes("json") ? await response.json() : {};
      if (response.status === 201) {
        this.#say({ text: `Published on ${answer.channel}${answer.position ? ` at ${answer.position}` : ""}.`, good: true });
        this.#on.sent(answer);
      } else if (response.status === 202) {
        this.#say({ text: `Redis cannot be reached at the moment. The message on ${answer.channel} waits in the outbox and is sent as soon as Redis is back.`, late: true });
        this.#waiting = answer.id;
        this.#on.sent(answer);
      } else if (answer.errors) this.#refused(answer.errors);
      else if (response.status === 403 || response.redirected) this.#say({ text: "Not published: you are signed out, or may not publish. Reload the page.", bad: true });
      else this.#say({ text: answer.error ?? `Not published: the server answered ${response.status}.`, bad: true });
    } catch {
      this.#say({ text: "The server cannot be reached: it is not known whether the message was published.", bad: true });
    } finally {
      button.disabled = false;
    }
  }

  #refused(errors) {
    const others = [];
    let first = null;
    for (const [name, texts] of Object.entries(errors)) {
      if (!FIELDS.includes(name)) others.push(...texts);
      else {
        this.#error(name, texts);
        first ??= this.#field(name);
        if (name === "type" || name === "key") $("publish-more").open = true;
      }
    }
    if (others.length) this.#say({ text: others.join(" "), bad: true });
    first?.focus();
  }

  #error(name, texts) {
    const place = this.#form.querySelector(`[data-error="${name}"]`);
    place.hidden = !texts.length;
    place.textContent = texts.join(" ");
    this.#field(name).toggleAttribute("aria-invalid", texts.length > 0);
    if (texts.length) this.#field(name).setAttribute("aria-invalid", "true");
  }

  #say(said) {
    const place = $("publish-result");
    place.hidden = !said;
    place.className = `note${said?.bad ? " bad" : said?.good ? " good" : said?.late ? " late" : ""}`;
    place.replaceChildren(...(said ? [el("span", {}, said.text)] : []));
  }
}
