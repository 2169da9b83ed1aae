// The form that publishes: is the payload JSON, where does it break, lay it out, how large is it. It works without.

import { el } from "../dom.js";
import { indented } from "../jsontext.js";
import { kindOf } from "../publish.js";

const area = document.getElementById("id_payload");
const form = area.form;
const limit = Number(document.querySelector("[data-max-bytes]").dataset.maxBytes);
const encoder = new TextEncoder();

const kinds = el("span.mb-kind");
const bytes = el("span.mb-quiet");
const said = el("p.mb-said", { role: "status" });
const validate = el("button.mb-small", { type: "button", onclick: onValidate }, "Validate");
const format = el("button.mb-small", { type: "button", onclick: onFormat }, "Format");
const frame = el("div.mb-area");
area.replaceWith(frame);
frame.append(area, el("div.mb-under", {}, validate, format, kinds, bytes, said));

area.addEventListener("input", changed);
form.addEventListener("change", changed);
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit(form.querySelector("[name=_save]"));
});
changed();
(form.querySelector(".errors :is(input, textarea, select)") ?? (form.elements.channel.value ? area : form.elements.channel)).focus();

function chosen() {
  return form.querySelector("[name=kind]:checked")?.value ?? form.elements.kind.value;
}

/** What would be sent: as the server decides it. */
function read() {
  if (chosen() === "text") return { kind: "text" };
  const found = kindOf(area.value);
  if (found.kind === "broken" && chosen() === "auto" && !/^\s*[{[]/.test(area.value)) return { kind: "text" };
  if (found.kind === "text" && chosen() === "json") return { kind: "broken", why: "this is not a JSON value", at: 0 };
  return found;
}

function changed() {
  const { kind } = read();
  kinds.dataset.kind = kind;
  kinds.textContent = { empty: "", json: "JSON", text: "Text", broken: "Not JSON" }[kind];
  const size = encoder.encode(area.value).length;
  bytes.textContent = area.value ? `${size.toLocaleString("en")} of ${limit.toLocaleString("en")} bytes` : "";
  bytes.classList.toggle("mb-too-large", size > limit);
  say("");
}

function onValidate() {
  const { kind, why, at } = read();
  if (kind !== "broken") {
    const words = { empty: "There is nothing to send yet.", json: "This is valid JSON.", text: "This is sent as a text." };
    return say(words[kind], kind === "empty" ? "" : "good");
  }
  const before = area.value.slice(0, at ?? 0);
  const place = at === null ? "" : ` at line ${before.split("\n").length}, column ${at - before.lastIndexOf("\n")}`;
  say(`Not JSON${place}: ${why}. Correct it, or choose Text to send it as it is.`, "bad");
  if (at === null) return;
  area.focus();
  area.setSelectionRange(at, Math.min(at + 1, area.value.length));
}

function onFormat() {
  const found = kindOf(area.value);
  const laid = found.kind === "json" ? indented(area.value) : null;
  if (laid === null) return onValidate();
  area.value = laid;
  changed();
}

function say(text, level = "") {
  said.textContent = text;
  said.dataset.level = level;
}
