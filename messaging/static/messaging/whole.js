// A record that was cut, or a location -> the whole message, fetched once; whether it is stored.

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

  /** The number of its row; null as long as it is only in the log; undefined when the server does not say. */
  async function rowOf(at) {
    try {
      const response = await fetch(`${addressOf(at)}?format=json`, { headers: { Accept: "application/json" } });
      const found = response.ok && /"pk":(\d+|null)\}$/.exec(await response.text());
      return found ? JSON.parse(found[1]) : undefined;
    } catch {
      return undefined;
    }
  }

  return { addressOf, whole, rowOf };
}
