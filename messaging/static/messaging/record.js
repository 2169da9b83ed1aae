// The data of a message frame -> a record: what the page shows of one message. Pure.

import { member } from "./jsontext.js";
import { positionMs } from "./positions.js";

const REDACTED = /,"redacted":true(?:,"pk":(?:\d+|null))?\}$/; // written by the server, behind the event

/**
 * `id` is the frame's position in the stream. Returns {key, position, at, ms, channel, type, time, delay, kind, raw,
 * size, cut, redacted, event, error}: `event` are the attributes without data; `raw` is the payload as published (the
 * JSON text; the text itself; base64 when `kind` is "binary"); `size` is in bytes; `delay` in ms from event to log.
 */
export function toRecord(id, text) {
  try {
    return read(id, text);
  } catch (error) {
    return unreadable(id, "", String(error), text);
  }
}

function read(id, text) {
  const at = JSON.parse(slice(text, member(text, 0, "at")));
  const error = member(text, 0, "error");
  const cutSpan = member(text, 0, "cut");
  const cut = cutSpan && JSON.parse(slice(text, cutSpan));
  if (error) return unreadable(id, at, JSON.parse(slice(text, error)), cut?.text ?? "", cut?.size);
  const whole = member(text, 0, "event");
  const data = member(text, whole.start, "data");
  const base64 = data ? null : member(text, whole.start, "data_base64");
  const event = JSON.parse(without(text, whole, data ?? base64));
  delete event.data;
  delete event.data_base64;

  const json = /^application\/([\w.+-]*\+)?json\b/i.test(event.datacontenttype ?? "application/json");
  let kind = base64 ? "binary" : json ? "json" : "text";
  let raw = data ? slice(text, data) : base64 ? JSON.parse(slice(text, base64)) : (cut?.text ?? "");
  if (kind === "text" && data) {
    if (raw[0] === '"') raw = JSON.parse(raw);
    else kind = "json";
  }
  const ms = positionMs(at);
  const time = Date.parse(event.time);
  return {
    key: `${event.source}\n${event.id}`,
    position: id,
    at,
    ms,
    channel: event.subject ?? "",
    type: event.type ?? "",
    time,
    delay: Number.isNaN(time) ? 0 : ms - time,
    kind,
    raw,
    size: cut?.size ?? (kind === "binary" ? base64Size(raw) : byteSize(raw)),
    cut: cut !== null,
    redacted: REDACTED.test(text),
    event,
    error: null,
  };
}

function unreadable(id, at, error, raw, size) {
  return {
    key: `unreadable\n${at || id}`,
    position: id,
    at,
    ms: at ? positionMs(at) : Date.now(),
    channel: "",
    type: "",
    time: NaN,
    delay: 0,
    kind: "text",
    raw,
    size: size ?? byteSize(raw),
    cut: size !== undefined && size > raw.length && raw !== "",
    redacted: false,
    event: {},
    error,
  };
}

const slice = (text, span) => text.slice(span.start, span.end);

/** An object's text with one of its values replaced by null, so that only the attributes are parsed. */
function without(text, whole, value) {
  if (!value) return slice(text, whole);
  return text.slice(whole.start, value.start) + "null" + text.slice(value.end, whole.end);
}

export function byteSize(text) {
  let size = text.length;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code > 0x7ff) size += code >= 0xd800 && code <= 0xdfff ? 1 : 2;
    else if (code > 0x7f) size += 1;
  }
  return size;
}

const base64Size = (text) => Math.floor((text.length * 3) / 4) - (text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0);

/** Base64 -> bytes; null when it is none (a payload cut short may end anywhere). */
export function bytesOf(base64) {
  try {
    return Uint8Array.from(atob(base64.slice(0, base64.length - (base64.length % 4))), (char) => char.charCodeAt(0));
  } catch {
    return null;
  }
}
