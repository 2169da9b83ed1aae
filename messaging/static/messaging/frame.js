// The data of a message frame -> what it says of itself, without reading all of it; or a message for a program. Pure.

const LOCATION = /^\{"at":"([^"]*)"/;
// As the server writes almost all of them. Whatever else may come is read as JSON.
const CHANNEL = /^\{"at":"[^"]*","event":\{"specversion":"1\.0","id":"[^"\\]*","source":"[^"\\]*","type":"[^"\\]*","subject":"([^"\\]*)"/;

/** Where a message stands in the log: `<partition>.<ms>-<seq>`; null when that cannot be told. */
export function locationOf(data) {
  return LOCATION.exec(data)?.[1] ?? null;
}

/** The channel; null for an entry of the log that could not be read. */
export function channelOf(data) {
  const found = CHANNEL.exec(data);
  if (found) return found[1];
  try {
    return JSON.parse(data).event?.subject ?? null;
  } catch {
    return null;
  }
}

/**
 * A frame {id, data} -> {channel, data, type, time, id, source, key, at, position, event, cut}, null for an unreadable one.
 * `data` is the payload as JSON.parse gives it, a string for text, an Uint8Array for bytes; undefined when it was too
 * large for the stream: `cut` is then {size, text}. `position` resumes behind this message.
 */
export function toMessage({ id, data }) {
  let frame;
  try {
    frame = JSON.parse(data);
  } catch {
    return null;
  }
  const { at, event, cut = null } = frame;
  if (!event) return null;
  const bytes = event.data_base64 === undefined ? undefined : Uint8Array.from(atob(event.data_base64), (char) => char.charCodeAt(0));
  return {
    channel: event.subject,
    data: bytes ?? event.data,
    type: event.type,
    time: new Date(event.time),
    id: event.id,
    source: event.source,
    key: event.partitionkey ?? null,
    at,
    position: id,
    event,
    cut,
  };
}
