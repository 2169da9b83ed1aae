// A record that was cut, or a location -> the whole message, fetched once.

import { toRecord } from "./record.js";

/** `atUrl` has LOCATION where the location goes. */
export function wholeMessages(atUrl) {
  const addressOf = (at) => atUrl.replace("LOCATION", encodeURIComponent(at));

  async function whole(record) {
    if (!record.cut) return record;
    const response = await fetch(`${addressOf(record.at)}?format=json`, { headers: { Accept: "application/json" } });
    if (!response.ok) throw new Error(response.status === 404 ? "It is neither in the log nor stored any more." : `The server answered ${response.status}.`);
    const got = toRecord(record.position, await response.text());
    if (got.error) throw new Error(got.error);
    return Object.assign(record, { raw: got.raw, kind: got.kind, size: got.size, cut: false });
  }

  return { addressOf, whole };
}
