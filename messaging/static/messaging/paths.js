// A place such as data.user.id -> what stands there in a message, and the places that messages have. Pure.
// Values are cut out of the payload's text: a number is shown as it was published.

import { member, readable } from "./jsontext.js";

const DEEPEST = 5; // levels of a payload that are offered
const MOST = 150; // places that are offered
const LONGEST = 200; // characters of a value

const ATTRIBUTES = ["type", "key", "id", "source"];
const ATTRIBUTE_OF = { key: "partitionkey" };
const STEP = /^[^\s:."]+$/; // as the search takes it

/** Is this a place that a message may have? `data.a.b`, or an attribute. */
export const isPath = (path) => /^(?:data(?:\.[^\s:."]+)*|[a-z][a-z0-9]*)$/.test(path);

/** What a record has there, as text; null when it has nothing there. */
export function fieldOf(record, path) {
  const [first, ...steps] = path.split(".");
  if (first !== "data") {
    const value = record.event[ATTRIBUTE_OF[first] ?? first];
    return value === undefined ? null : String(value);
  }
  if (record.kind !== "json") return null;
  let start = record.raw.search(/\S/);
  let end = record.raw.length;
  for (const step of steps) {
    const found = member(record.raw, start, step) ?? item(record.raw, start, step);
    if (!found) return null;
    ({ start, end } = found);
  }
  const text = record.raw.slice(start, Math.min(end, start + LONGEST));
  const cut = end - start > LONGEST || (record.cut && end >= record.raw.length);
  return (text[0] === '"' ? readable(text.slice(1, cut ? undefined : -1)) : text) + (cut ? "…" : "");
}

/** The text of item `step` of the list that starts at `from`; null unless it is one. */
function item(text, from, step) {
  if (text[from] !== "[" || !/^\d{1,4}$/.test(step)) return null;
  return members(text, from)[Number(step)]?.span ?? null;
}

/** [{name, span}] of an object or a list, in its order. */
function members(text, from) {
  const close = text[from] === "{" ? "}" : text[from] === "[" ? "]" : null;
  const found = [];
  if (!close) return found;
  const isObject = close === "}";
  let at = from + 1;
  while (at < text.length) {
    while (at < text.length && " \t\r\n,".includes(text[at])) at++;
    if (at >= text.length || text[at] === close) break;
    let name = String(found.length);
    if (isObject) {
      const end = endOfString(text, at);
      name = text.slice(at + 1, end - 1);
      at = end;
      while (at < text.length && " \t\r\n:".includes(text[at])) at++;
    }
    const end = endOfValue(text, at);
    found.push({ name, span: { start: at, end } });
    at = end;
  }
  return found;
}

function endOfString(text, at) {
  for (at++; at < text.length && text[at] !== '"'; at++) if (text[at] === "\\") at++;
  return at + 1;
}

function endOfValue(text, at) {
  let depth = 0;
  for (; at < text.length; at++) {
    const char = text[at];
    if (char === '"') at = endOfString(text, at) - 1;
    else if (char === "{" || char === "[") depth++;
    else if (char === "}" || char === "]") {
      if (depth === 0) return at;
      depth--;
    } else if (depth === 0 && (char === "," || char === " " || char === "\n" || char === "\r" || char === "\t")) return at;
    if (depth === 0 && '}]"'.includes(char)) return at + 1;
  }
  return at;
}

/** The places that these records have, those of most of them first. */
export function pathsOf(records) {
  const counts = new Map();
  const count = (path) => counts.set(path, (counts.get(path) ?? 0) + 1);
  const look = (text, from, path, depth) => {
    for (const { name, span } of members(text, from).slice(0, 50)) {
      if (!STEP.test(name) || name.includes("\\") || counts.size >= MOST) continue;
      const place = `${path}.${name}`;
      if (text[span.start] !== "{" && text[span.start] !== "[") count(place);
      else if (depth < DEEPEST && text[span.start] === "{") look(text, span.start, place, depth + 1);
    }
  };
  for (const record of records) {
    for (const name of ATTRIBUTES) if (record.event[ATTRIBUTE_OF[name] ?? name]) count(name);
    if (record.kind === "json" && record.raw[0] === "{") look(record.raw, 0, "data", 1);
  }
  // Fields of payloads before attributes, frequent ones before others.
  const rank = ([path, seen]) => [path.startsWith("data.") ? 0 : 1, -seen, path];
  return [...counts].map((each) => [rank(each), each[0]]).sort(([a], [b]) => a[0] - b[0] || a[1] - b[1] || (a[2] < b[2] ? -1 : 1)).map(([, path]) => path);
}
