// What a person says about when ("10 min ago", "yesterday 17:30", ISO 8601) -> a moment in milliseconds. Pure.

const UNITS = { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };
const AGO = /^(?:-|last\s+|past\s+)?((?:\d+(?:\.\d+)?\s*(?:s|m|h|d|w)[a-z]*\s*)+)(?:ago)?$/;
const PART = /(\d+(?:\.\d+)?)\s*([smhdw])([a-z]*)/g;
const WORDS = { s: /^(|ec|ecs|econd|econds)$/, m: /^(|in|ins|inute|inutes)$/, h: /^(|r|rs|our|ours)$/, d: /^(|ay|ays)$/, w: /^(|eek|eeks)$/ };
const DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const CLOCK = /^(?:at\s+)?(\d{1,2})(?::(\d{2})(?::(\d{2})(?:[.,](\d{1,3}))?)?)?\s*(am|pm)?$/;
const ISO = /^(\d{4})-(\d{2})-(\d{2})(?:[t ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?)?\s*(z|utc|[+-]\d{2}:?\d{2})?$/;
const DATE = /^(?:(\d{1,2})\.?\s+([a-z]{3})[a-z]*|([a-z]{3})[a-z]*\s+(\d{1,2}))(?:,?\s+(\d{4}))?$/;

/**
 * `now` in milliseconds; days and clock times are those of the browser's zone, or of UTC. Null for what says nothing.
 * A clock time alone is the last one that has been; a day alone is its beginning.
 */
export function momentOf(text, { now, utc = false }) {
  const said = text.trim().toLowerCase().replace(/\s+/g, " ");
  if (!said) return null;
  if (said === "now") return now;
  if (/^\d{13}$/.test(said)) return Number(said);
  return ago(said, now) ?? iso(said, utc) ?? dayAndClock(said, now, utc);
}

function ago(said, now) {
  const found = AGO.exec(said.replace(/^an? /, "1 "));
  if (!found) return null;
  let span = 0;
  for (const [, n, unit, rest] of found[1].matchAll(PART)) {
    if (!WORDS[unit].test(rest)) return null;
    span += Number(n) * UNITS[unit];
  }
  return now - span;
}

function iso(said, utc) {
  const found = ISO.exec(said);
  if (!found) return null;
  const [, year, month, day, hour = "0", minute = "0", second = "0", fraction = "", zone] = found;
  const parts = [year, month - 1, day, hour, minute, second, fraction.padEnd(3, "0").slice(0, 3)].map(Number);
  if (!zone) return valid(make(parts, utc), parts, utc);
  const offset = /[+-]/.test(zone) ? Number(`${zone[0]}1`) * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2))) : 0;
  const ms = valid(make(parts, true), parts, true);
  return ms === null ? null : ms - offset * 6e4;
}

function dayAndClock(said, now, utc) {
  const words = said.split(" ");
  for (let at = words.length; at >= 0; at--) {
    const day = dayOf(words.slice(0, at).join(" "), now, utc);
    const time = clockOf(words.slice(at).join(" "));
    if (!day || !time || (at === 0 && time.empty)) continue;
    const parts = [...day, time.hour, time.minute, time.second, time.ms];
    const ms = valid(make(parts, utc), parts, utc);
    if (ms === null) return null;
    // "17:30" before half past five was yesterday's.
    return at === 0 && ms > now ? make([day[0], day[1], day[2] - 1, ...parts.slice(3)], utc) : ms;
  }
  return null;
}

function dayOf(said, now, utc) {
  const [year, month, day, weekday] = partsOf(now, utc);
  if (said === "" || said === "today") return [year, month, day];
  if (said === "yesterday") return partsOf(make([year, month, day - 1, 12, 0, 0, 0], utc), utc).slice(0, 3);
  const name = said.replace(/^(last|on) /, "");
  const wanted = name.length > 2 ? DAYS.findIndex((each) => each.startsWith(name)) : -1;
  if (wanted >= 0) return partsOf(make([year, month, day - ((weekday - wanted + 7) % 7 || 7), 12, 0, 0, 0], utc), utc).slice(0, 3);
  const found = DATE.exec(said);
  const its = found ? MONTHS.indexOf(found[2] ?? found[3]) : -1;
  if (its < 0) return null;
  const date = Number(found[1] ?? found[4]);
  // Without a year: the last one that has been.
  return [found[5] ? Number(found[5]) : make([year, its, date, 0, 0, 0, 0], utc) > now ? year - 1 : year, its, date];
}

function clockOf(said) {
  if (said === "") return { hour: 0, minute: 0, second: 0, ms: 0, empty: true };
  if (said === "noon") return { hour: 12, minute: 0, second: 0, ms: 0 };
  const found = CLOCK.exec(said);
  if (!found || (!found[2] && !found[5])) return null;
  let hour = Number(found[1]);
  if (found[5]) hour = (hour % 12) + (found[5] === "pm" ? 12 : 0);
  return { hour, minute: Number(found[2] ?? 0), second: Number(found[3] ?? 0), ms: Number((found[4] ?? "").padEnd(3, "0")) };
}

const make = (parts, utc) => (utc ? Date.UTC(...parts) : new Date(...parts).getTime());

function partsOf(ms, utc) {
  const d = new Date(ms);
  return utc ? [d.getUTCFullYear(), d.getUTCMonth(), d.getUTCDate(), d.getUTCDay()] : [d.getFullYear(), d.getMonth(), d.getDate(), d.getDay()];
}

/** The 31st of February and 25:00 are no moments. */
function valid(ms, [, month, day, hour, minute, second], utc) {
  const d = new Date(ms);
  const same = utc ? d.getUTCMonth() === month && d.getUTCDate() === day : d.getMonth() === month && d.getDate() === day;
  return same && hour < 24 && minute < 60 && second < 60 ? ms : null;
}
