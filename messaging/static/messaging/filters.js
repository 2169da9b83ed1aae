// What the reader typed -> which messages are shown; and the same to and from the page's address. Pure.

import { isPath } from "./paths.js";

/** So many messages of the past can be asked for at most. */
export const MOST_LAST = 1000;

/** A Redis glob (`* ? [abc] [^a-z] \x`) -> RegExp for a whole channel name, by the rules of messaging/patterns.py. */
export function glob(pattern) {
  let out = "";
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at];
    if (char === "*") out += out.endsWith("[^]*") ? "" : "[^]*";
    else if (char === "?") out += "[^]";
    else if (char === "[") {
      const [set, last] = globSet(pattern, at + 1);
      out += set;
      at = last;
    } else if (char === "\\" && at + 1 < pattern.length) out += literal(pattern[++at]);
    else out += literal(char);
  }
  return new RegExp(`^(?:${out})$`);
}

/** The set that begins behind a `[` -> its expression, and where its `]` is. */
function globSet(pattern, at) {
  const not = pattern[at] === "^";
  if (not) at++;
  let members = "";
  for (; at < pattern.length && pattern[at] !== "]"; at++) {
    if (pattern[at] === "\\" && at + 1 < pattern.length) members += literal(pattern[++at]);
    else if (at + 2 < pattern.length && pattern[at + 1] === "-") {
      const [low, high] = [pattern[at], pattern[at + 2]].sort();
      members += `${literal(low)}-${literal(high)}`;
      at += 2;
    } else members += literal(pattern[at]);
  }
  return [members ? `[${not ? "^" : ""}${members}]` : not ? "[^]" : "(?!)", at];
}

const literal = (text) => text.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");

/** Does any pattern match? None at all means every channel. */
export function anyMatch(patterns) {
  const compiled = patterns.map(glob);
  return (channel) => !compiled.length || compiled.some((pattern) => pattern.test(channel));
}

const TERM = /(-)?(?:(channel|type|id|key|data(?:\.[^\s:."]+)+):)?(?:"([^"]*)"?|(\S+))/g;

/** `foo -bar "two words" channel:orders.* data.user.id:42` -> [{not, field, text}] */
export function parseSearch(text) {
  const terms = [];
  for (const [, minus, field = "", quoted, word] of text.matchAll(TERM)) {
    const wanted = quoted ?? word;
    if (wanted && wanted !== "-") terms.push({ not: minus === "-", field, text: wanted });
  }
  return terms;
}

/** A search text -> a function from record to boolean; null when it is empty and everything matches. */
export function compileSearch(text) {
  const tests = parseSearch(text).map(({ not, field, text: wanted }) => {
    const test = termTest(field, wanted);
    return not ? (record) => !test(record) : test;
  });
  return tests.length ? (record) => tests.every((test) => test(record)) : null;
}

/** The words of a search text that are looked for in channel, type and payload. */
export const wordsOf = (search) => parseSearch(search).filter(({ not, field }) => !not && !field).map(({ text }) => text);

/** The list of stored messages with the same words, and the channel if it is one; "" without words, or without the list. */
export function storedSearch(stored, { search, channels }) {
  const words = wordsOf(search);
  if (!stored || !words.length) return "";
  const query = new URLSearchParams({ q: words.join(" ") });
  if (channels.length === 1 && !/[*?[\]\\]/.test(channels[0])) query.append("channel", channels[0]);
  return `${stored}?${query}`;
}

function termTest(field, wanted) {
  const lower = wanted.toLowerCase();
  if (field === "channel") {
    const pattern = glob(wanted);
    return (r) => pattern.test(r.channel);
  }
  if (field === "type") return (r) => r.type.toLowerCase().includes(lower);
  if (field === "id") return (r) => (r.event.id ?? "").toLowerCase().startsWith(lower);
  if (field === "key") return (r) => (r.event.partitionkey ?? "").toLowerCase() === lower;
  if (field) return fieldTest(field.split(".").slice(1), lower);
  return (r) => `${r.channel}\n${r.type}\n${searchable(r)}`.toLowerCase().includes(lower);
}

const NUMBER = /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/;

/** The payload as the reader sees it: `\u00e9` typed as é is found too. */
function searchable(record) {
  if (record.kind === "binary") return "";
  if (!record.raw.includes("\\u")) return record.raw;
  return record.raw + record.raw.replace(/\\u([0-9a-fA-F]{4})/g, (all, hex) => String.fromCharCode(parseInt(hex, 16)));
}

function fieldTest(path, wanted) {
  const number = NUMBER.test(wanted) ? Number(wanted) : NaN;
  return (record) => {
    if (record.kind !== "json" || record.cut) return false;
    let value;
    try {
      value = JSON.parse(record.raw);
    } catch {
      return false;
    }
    for (const step of path) {
      if (value === null || typeof value !== "object" || !Object.hasOwn(value, step)) return false;
      value = value[step];
    }
    if (typeof value === "number") return value === number;
    if (value === null || typeof value === "boolean") return String(value) === wanted;
    return (typeof value === "object" ? JSON.stringify(value) : value).toLowerCase().includes(wanted);
  };
}

/** The query string -> {channels, search, last, from, around, columns}: from a moment (ms), or around a message (its location). */
export function readAddress(queryString) {
  const query = new URLSearchParams(queryString);
  const channels = [...new Set(query.getAll("channel").filter(Boolean))];
  const last = Math.min(MOST_LAST, Math.max(0, Number.parseInt(query.get("last") ?? "200", 10) || 0));
  const from = Date.parse(query.get("from") ?? "");
  const around = /^\d+\.\d+-\d+$/.test(query.get("around") ?? "") ? query.get("around") : null;
  const columns = [...new Set(query.getAll("col"))].filter(isPath).slice(0, 8);
  return { channels, search: query.get("q") ?? "", last: query.has("last") ? last : 200, from: Number.isNaN(from) ? null : from, around, columns };
}

/** What `readAddress` gives -> the query string, "" when everything is as it comes. */
export function writeAddress({ channels, search, last, from = null, around = null, columns = [] }) {
  const query = new URLSearchParams(channels.map((name) => ["channel", name]));
  if (search) query.append("q", search);
  if (last !== 200) query.append("last", last);
  if (from !== null) query.append("from", new Date(from).toISOString());
  if (around) query.append("around", around);
  for (const path of columns) query.append("col", path);
  const text = query.toString().replaceAll("%2A", "*").replaceAll("%3A", ":");
  return text && `?${text}`;
}

/** The search text with or without the term that mutes a channel. */
export function toggleMute(search, channel) {
  const name = channel.replace(/[*?[\]\\]/g, "\\$&");
  const term = `-channel:${/[\s"]/.test(name) ? `"${name}"` : name}`;
  const terms = search.split(" ").filter(Boolean);
  return terms.includes(term) ? terms.filter((other) => other !== term).join(" ") : [...terms, term].join(" ");
}

/** Channel -> is it muted by the search text? */
export function mutedBy(search) {
  const patterns = parseSearch(search).filter((term) => term.not && term.field === "channel");
  return patterns.length ? anyMatch(patterns.map((term) => term.text)) : () => false;
}
