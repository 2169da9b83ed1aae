// Payloads -> text nodes and coloured spans.

import { preview, pretty } from "./jsontext.js";
import { bytesOf } from "./record.js";

const TINT_LIMIT = 96 * 1024; // characters; beyond it colours cost more than they help
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

function span(kind, text) {
  const element = document.createElement("span");
  element.className = `json-${kind}`;
  element.textContent = text;
  return element;
}

/** Tokens of jsontext.js -> a fragment. */
export function tinted(tokens) {
  const fragment = document.createDocumentFragment();
  for (const [kind, text] of tokens) fragment.append(kind === "space" || kind === "more" ? text : span(kind, visible(text)));
  return fragment;
}

/** Control characters and those that turn the direction of text, made visible: ␀ ␊ ⟨U+202E⟩. */
export function visible(text, keepLines = false) {
  return text.replace(CONTROL, (char) => {
    if (keepLines && char === "\n") return char;
    const code = char.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return code === 0x7f ? "␡" : `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}

/** One line of a record's payload. */
export function previewOf(record, limit) {
  if (record.kind === "json") return tinted(preview(record.raw, limit));
  const fragment = document.createDocumentFragment();
  const text = record.kind === "binary" ? hexLine(record.raw) : visible(record.raw.slice(0, limit).replace(/\r?\n/g, " ↵ "));
  if (record.kind === "binary" || record.error) {
    const faint = document.createElement("span");
    faint.className = "faint";
    faint.textContent = record.error ? `unreadable: ${record.error}  ` : "bytes  ";
    fragment.append(faint);
  }
  fragment.append(text, record.raw.length > limit ? "…" : "");
  return fragment;
}

function hexLine(base64) {
  const bytes = bytesOf(base64.slice(0, 64)) ?? [];
  return Array.from(bytes.slice(0, 32), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

/** A payload laid out to be read -> {node, hex, note}; `note` says why it is not laid out. */
export function laidOut(record) {
  if (record.kind === "binary") {
    const bytes = bytesOf(record.raw);
    return bytes ? { node: hexDump(bytes), hex: true } : { node: record.raw, note: "This is not valid base64." };
  }
  if (record.kind === "text" || record.cut) return { node: record.raw };
  if (record.raw.length > TINT_LIMIT) return { node: record.raw, note: "Too large to be laid out; this is the payload as it is." };
  const tokens = pretty(record.raw);
  return tokens ? { node: tinted(tokens) } : { node: record.raw, note: "Nested too deeply to be laid out; this is the payload as it is." };
}

/** Offset, eight bytes, their characters: narrow enough for the panel and a phone; the first 4 KiB. */
function hexDump(bytes) {
  const lines = [];
  for (let at = 0; at < Math.min(bytes.length, 4096); at += 8) {
    const row = [...bytes.subarray(at, at + 8)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ").padEnd(23);
    const text = row.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${hex}  ${text}`);
  }
  if (bytes.length > 4096) lines.push(`… ${bytes.length - 4096} more bytes`);
  return lines.join("\n");
}
