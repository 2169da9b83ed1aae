// One record -> the panel at the right: laid out, raw, as event; its attributes; what can be done with it.

import { copy, copyButton } from "./clipboard.js";
import { laidOut, tinted, visible } from "./code.js";
import { lineDiff } from "./diff.js";
import { $, el, hue, icon } from "./dom.js";
import { fullTime, size, span } from "./format.js";
import { indented, pretty } from "./jsontext.js";
import { bytesOf } from "./record.js";
import { asCommand, asCurl, asEvent, asPython } from "./snippets.js";

const TABS = { pretty: "Pretty", raw: "Raw", diff: "Diff", event: "Event" };
const STAYS = 250; // ms
const OWN = ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "partitionkey"];

export class Detail {
  #root = $("detail");
  #tab = "pretty";
  #record = null;
  #options;
  #messages;
  #publishUrl;
  #on;

  /**
   * `on`: {close(), step(n), only(channel), context(record), filtered(), previous(record), again(record) or null};
   * `messages` of whole.js; `publishUrl` for the copied curl.
   */
  constructor({ options, messages, publishUrl, on }) {
    this.#publishUrl = publishUrl;
    this.#options = options;
    this.#messages = messages;
    this.#on = on;
  }

  get record() {
    return this.#record;
  }

  show(record) {
    this.#record = record;
    this.#root.hidden = !record;
    if (!record) return this.#root.replaceChildren();
    const body = el("div.panel-body", { id: "detail-body", role: "tabpanel", "aria-labelledby": `tab-${this.#tab}`, tabindex: "0" }, ...this.#body(record));
    this.#root.replaceChildren(this.#head(record), this.#tabs(record), body, this.#foot(record));
  }

  redraw() {
    if (this.#record) this.show(this.#record);
  }

  #head(record) {
    const button = (name, label, act) => el("button.icon-button", { type: "button", title: label, "aria-label": label, onclick: act }, icon(name));
    return el(
      "div.panel-head",
      {},
      el(`h2.channel.${hue(record.channel)}`, { title: record.channel }, record.channel || "unreadable"),
      el("div.grow"),
      button("up", "Row above (k)", () => this.#on.step(-1)),
      button("down", "Row below (j)", () => this.#on.step(1)),
      button("x", "Close (Esc)", () => this.#on.close()),
    );
  }

  #tabs(record) {
    const choose = (name) => {
      this.#tab = name;
      this.show(record);
      $(`tab-${name}`).focus();
    };
    const names = Object.keys(TABS);
    const tabs = names.map((name, at) =>
      el(
        "button",
        {
          type: "button",
          role: "tab",
          id: `tab-${name}`,
          "aria-controls": "detail-body",
          "aria-selected": String(name === this.#tab),
          tabindex: name === this.#tab ? "0" : "-1",
          onclick: () => choose(name),
          onkeydown: (event) => {
            const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
            if (!step) return;
            event.stopPropagation();
            choose(names[(at + step + names.length) % names.length]);
          },
        },
        TABS[name],
      ),
    );
    const load = async () => (await this.#messages.whole(record)).raw;
    return el(
      "div.tabs",
      {},
      el("div", { role: "tablist", "aria-label": "Form" }, ...tabs),
      el("div.grow"),
      copyButton("Copy the payload", load),
      el("button.icon-button", { type: "button", title: "Download the payload", "aria-label": "Download the payload", onclick: () => this.#download(record) }, icon("download")),
      record.at && el("a.icon-button", { href: this.#messages.addressOf(record.at), target: "_blank", rel: "noopener", title: "Open on a page of its own (permanent link)", "aria-label": "Open on a page of its own" }, icon("link")),
    );
  }

  #body(record) {
    const out = [];
    if (record.error) out.push(el("p.note.bad", {}, `This entry of the log could not be read: ${record.error}`));
    if (record.redacted) out.push(el("p.note", {}, "Redacted: the site's settings name fields that are not shown. Copies have what is shown here."));
    if (record.cut) out.push(this.#cutNote(record));
    const code = (content, hex) => el(`pre.code${hex ? ".hex" : ""}`, {}, content);
    if (this.#tab === "raw") out.push(code(record.raw));
    else if (this.#tab === "diff") out.push(...this.#diff(record));
    else if (this.#tab === "event") {
      const text = asEvent(record);
      const tokens = !record.cut && text.length < 96 * 1024 && pretty(text);
      out.push(code(tokens ? tinted(tokens) : text));
    } else {
      const { node, hex, note } = laidOut(record);
      if (note) out.push(el("p.note", {}, note));
      out.push(code(node, hex));
    }
    if (this.#tab !== "event") out.push(this.#facts(record));
    return out;
  }

  #cutNote(record) {
    const load = async (event) => {
      const button = event.currentTarget;
      button.disabled = true;
      try {
        await this.#messages.whole(record);
        if (this.#record === record) this.show(record);
      } catch (error) {
        button.parentElement.replaceChildren(error.message);
      }
    };
    return el("div.note.cut-note", {}, el("span", {}, `The first 8 KiB of ${size(record.size)}.`), el("button.button.small", { type: "button", onclick: load }, "Load full"));
  }

  /** Against the message before it on its channel. */
  #diff(record) {
    const before = this.#on.previous(record);
    if (!before) return [el("p.note", {}, `This page holds no earlier message on ${record.channel || "its channel"}.`)];
    if (before.cut || record.cut || [before, record].some(({ kind }) => kind === "binary")) return [el("p.note", {}, "One of the two is not text, or too large to be compared.")];
    const text = ({ kind, raw }) => visible((kind === "json" && indented(raw)) || raw, true);
    const lines = lineDiff(text(before), text(record));
    if (!lines) return [el("p.note", {}, "They are too long to be compared.")];
    const changed = lines.filter(([sign]) => sign !== " ").length;
    const words = { "+": "added: ", "-": "removed: " };
    const marked = ([sign, line]) => el(`span.${{ "+": "plus", "-": "minus", " ": "same" }[sign]}`, {}, sign !== " " && el("span.unseen", {}, words[sign]), `${line}\n`);
    const head = changed ? `Against the one ${span(record.ms - before.ms)} before it` : `The same as the one ${span(record.ms - before.ms)} before it`;
    return [el("p.note", {}, head), el("pre.code.diff", {}, ...lines.map(marked))];
  }

  #facts(record) {
    const { utc } = this.#options;
    const list = el("dl.facts");
    const fact = (name, value, { small, level, text } = {}) => {
      if (!value) return;
      list.append(el("dt", {}, name), el("dd", {}, el("span", {}, el(`span${level ? `.${level}` : ""}`, {}, visible(value)), small ? " " : "", small && el("small", {}, small)), copyButton(`Copy ${name.toLowerCase()}`, text ?? value)));
    };
    const { event } = record;
    if (record.at) fact("Logged", fullTime(record.ms, utc));
    if (event.time) {
      const level = record.delay >= 10_000 ? "bad" : record.delay >= 1000 ? "warn" : "";
      fact("Event time", fullTime(record.time, utc), { small: Number.isNaN(record.time) && event.time, text: event.time });
      if (record.at && !Number.isNaN(record.time)) fact("Delay", span(record.delay), { small: "from the event to the log", level });
    }
    fact("Type", record.type);
    fact("Key", event.partitionkey);
    fact("Id", event.id);
    fact("Source", event.source);
    fact("Payload", `${size(record.size)}, ${event.datacontenttype ?? (record.kind === "binary" ? "application/octet-stream" : "application/json")}`);
    fact("Position", record.at);
    if (record.at) {
      const stored = el("span", {}, "…");
      list.append(el("dt", {}, "Stored"), el("dd", {}, stored));
      this.#tellStored(record, stored);
    }
    for (const [name, value] of Object.entries(event)) if (!OWN.includes(name)) fact(name, String(value));
    return list;
  }

  /** Asked once the reader stays with a message, and again while the listener has not stored it. */
  #tellStored(record, place) {
    setTimeout(async () => {
      if (!place.isConnected) return;
      const row = await this.#messages.rowOf(record.at);
      if (row) return place.replaceChildren(el("a", { href: this.#messages.addressOf(record.at), target: "_blank", rel: "noopener" }, `as message ${row}`));
      place.textContent = row === null ? "not yet: it is in the log" : "not known";
      if (row === null) setTimeout(() => this.#tellStored(record, place), 2000);
    }, STAYS);
  }

  #foot(record) {
    const { again, only, context, filtered } = this.#on;
    const menu = el("details.menu", {}, el("summary.button", {}, icon("copy"), "Copy as"));
    const item = (label, make) => el("button", { type: "button", onclick: async () => ((menu.open = false), copy(make(await this.#messages.whole(record)))) }, label);
    menu.append(el("div", {}, item("manage.py command", asCommand), item("Python", asPython), record.kind !== "binary" && item("curl", (whole) => asCurl(whole, this.#publishUrl)), item("CloudEvents JSON", asEvent), item("Link to this message", () => new URL(this.#messages.addressOf(record.at), location.href).href)));
    if (record.error) return el("div.panel-foot");
    return el(
      "div.panel-foot",
      {},
      again && !record.redacted && el("button.button", { type: "button", title: "Put it into the publish box", onclick: async () => again(await this.#messages.whole(record)) }, icon("again"), "Use again"),
      filtered() && el("button.button", { type: "button", title: "Without filters, among the messages around it (x)", onclick: () => context(record) }, icon("context"), "In context"),
      el("button.button", { type: "button", title: "Only this channel", onclick: () => only(record.channel) }, "Only this"),
      el("div.grow"),
      menu,
    );
  }

  async #download(record) {
    const { raw, kind, event } = await this.#messages.whole(record);
    const blob = new Blob([kind === "binary" ? (bytesOf(raw) ?? raw) : raw], { type: "application/octet-stream" });
    const link = el("a", { href: URL.createObjectURL(blob), download: `${record.channel.replace(/[^\w.-]+/g, "_")}-${event.id ?? record.at}.${{ json: "json", text: "txt", binary: "bin" }[kind]}` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }
}

