// Numbers -> words: times, spans, sizes, counts. Pure.

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (n) => String(n).padStart(2, "0");

/** 14:03:22.125 with the date "21 Nov " before it when `ms` is not on the day of `now` -> {date, time, millis}. */
export function clock(ms, { utc, now }) {
  const d = new Date(ms);
  if (Number.isNaN(ms)) return { date: "", time: "--:--:--", millis: "" };
  const [year, month, day] = dayOf(d, utc);
  const today = dayOf(new Date(now), utc);
  const same = year === today[0] && month === today[1] && day === today[2];
  const time = utc
    ? `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}:${two(d.getUTCSeconds())}`
    : `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  return { date: same ? "" : `${two(day)} ${MONTHS[month]} `, time, millis: `.${String(d.getUTCMilliseconds()).padStart(3, "0")}` };
}

function dayOf(d, utc) {
  return utc ? [d.getUTCFullYear(), d.getUTCMonth(), d.getUTCDate()] : [d.getFullYear(), d.getMonth(), d.getDate()];
}

/** 2026-01-31 14:03:22.125 +01:00 */
export function fullTime(ms, utc) {
  if (Number.isNaN(ms)) return "no valid time";
  const d = new Date(ms);
  const minutes = utc ? 0 : -d.getTimezoneOffset();
  const local = new Date(ms + minutes * 60_000).toISOString().replace("T", " ").replace("Z", "");
  const zone = utc ? "UTC" : `${minutes < 0 ? "-" : "+"}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
  return `${local} ${zone}`;
}

/** A span in one unit: 3 ms, 1.5 s, 4 min, 2 h, 3 d. */
export function span(ms) {
  const n = Math.abs(ms);
  const sign = ms < 0 ? "−" : "";
  if (n < 1000) return `${sign}${Math.round(n)} ms`;
  if (n < 10_000) return `${sign}${(n / 1000).toFixed(1)} s`;
  if (n < 120_000) return `${sign}${Math.round(n / 1000)} s`;
  if (n < 7_200_000) return `${sign}${Math.round(n / 60_000)} min`;
  if (n < 172_800_000) return `${sign}${Math.round(n / 3_600_000)} h`;
  return `${sign}${Math.round(n / 86_400_000)} d`;
}

export const ago = (ms, now) => (now - ms < 1000 ? "just now" : `${span(now - ms)} ago`);

export function size(bytes) {
  if (bytes < 1024) return `${bytes} ${bytes === 1 ? "byte" : "bytes"}`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(bytes < 10_240 ? 1 : 0)} KiB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

export const count = (n) => n.toLocaleString("en");

export const messages = (n) => `${count(n)} ${n === 1 ? "message" : "messages"}`;

/** A rate with the digits that matter: 0, 0.4, 12, 1,204. */
export function rate(perSecond) {
  if (perSecond === 0) return "0";
  if (perSecond < 9.95) return perSecond.toFixed(1);
  return count(Math.round(perSecond));
}
