// The live log page: wires the stream to the store, the store to the rows, and the controls to all of them.

import { Channels } from "./channels.js";
import { RateChart } from "./chart.js";
import { Detail } from "./detail.js";
import { showColumns, watchColumns } from "./columns.js";
import { bindControls, showOptions } from "./controls.js";
import { dividerNode, endOfRows } from "./dividers.js";
import { $ } from "./dom.js";
import { showEmpty } from "./empty.js";
import { watchExport } from "./export.js";
import { compileSearch, MOST_LAST, readAddress, storedSearch, toggleMute, wordsOf, writeAddress } from "./filters.js";
import { watchScrolling } from "./follow.js";
import { Hits } from "./hits.js";
import { watchJump } from "./jump.js";
import { fullTime } from "./format.js";
import { Painter } from "./painter.js";
import { Panel } from "./panel.js";
import { findPlace } from "./place.js";
import { recall, remember } from "./prefs.js";
import { PublishBox } from "./publish.js";
import { Rates } from "./rates.js";
import { toRecord } from "./record.js";
import { Rows } from "./rows.js";
import { watchSaved } from "./saved.js";
import { showFoot, showPause, showState, showTitle } from "./status.js";
import { Store } from "./store.js";
import { Subscription } from "./stream.js";
import { wholeMessages } from "./whole.js";

const site = $("console").dataset;
const options = { newestFirst: true, wrap: false, utc: false, ...recall("view", {}) };
const address = readAddress(location.search);
const store = new Store();
const rates = new Rates();
const messages = wholeMessages(site.at);

let match = null; // the compiled search
let pausedBy = null; // null, "you", "scroll" or "place"
let waitingMatch = 0;
let retention = null;
let fromPlace = false; // the rows begin at a place in the past instead of with the newest messages
let readingFrom = false; // reads from there, and has not come to now yet: stops when the page is full instead of dropping rows
let past = 0; // messages that have come since the start, and were there before it
let pastIsHere = false;
let target = null; // {at} or {ms}: what the reader wants to see, until it has come
let revealing = null; // the message to be scrolled to with the next drawing
let starts = 0;
let cleared = false; // by the reader: an empty page is then no wonder

const stream = new Subscription(site.stream, {
  scope: site.user,
  state: (state) => (showState(state), showTitle(titleFacts()), showWhyEmpty()),
  hello: (facts) => (retention = facts.retention),
  live: () => {
    readingFrom = false;
    pastHasCome();
    showTarget();
    showWhyEmpty();
  },
  messages: (batch) => take(batch.map(({ id, data }) => toRecord(id, data))),
  gap: (gap) => painter.add(store.divide({ gap })),
  loss: (gap) => painter.add(store.divide({ gap })),
});
const now = () => stream.now();
const act = { readFrom, backToLive: () => choose({ from: null }) };
const rows = new Rows({ options, now, dividerNode: (row) => dividerNode(row, { act, storedUrl: site.stored }), end: () => endOfRows({ dropped: store.dropped, stored: site.stored, more: moreOf() }) });
const hits = new Hits(rows, $("rows"));
const painter = new Painter(rows, store, () => {
  if (revealing) rows.reveal(revealing);
  revealing = null;
  rows.select(panel.selected);
  hits.mark();
  showNumbers();
  showWhyEmpty();
});
const chart = new RateChart(options);
const channels = new Channels(site.channels, { choose: (names) => choose({ channels: names }), mute: (name) => search(toggleMute(address.search, name)) });
const publishBox = new PublishBox({ sent: () => channels.ask() });
const detail = new Detail({
  options,
  messages,
  publishUrl: new URL(site.publish, location.href).href,
  on: {
    close: () => panel.close(),
    step: (n) => panel.step(n),
    context: (record) => showInContext(record),
    filtered: () => Boolean(address.search || address.channels.length),
    previous: (record) => store.previousOf(record),
    only: (name) => choose({ channels: [name.replace(/[*?[\]\\]/g, "\\$&")] }),
    again: publishBox.exists ? (record) => (publishBox.fill(record), panel.open("publish")) : null,
  },
});

const panel = new Panel({ rows, detail, publishBox });

// -- messages: stream -> store -> rows ---------------------------------------------------------------------------

function take(records) {
  if (!pastIsHere) past += records.length;
  publishBox.saw(records);
  let fresh = store.fresh(records);
  if (readingFrom) fresh = fresh.slice(0, Math.max(0, store.cap - store.messages));
  if (retention?.oldest === null && fresh.length) retention.oldest = fresh[0].ms;
  for (const record of fresh) rates.add(record.channel, record.ms);
  if (store.paused) waitingMatch += match ? fresh.filter(match).length : 0;
  painter.add(store.add(fresh));
  if (readingFrom && store.full) {
    stream.close();
    pastHasCome();
    painter.add(store.divide({ full: true, count: store.messages, position: fresh.at(-1)?.position ?? stream.position }));
    showTarget();
  }
}

/** Are there older messages than the page has asked for? */
const olderExist = () => fromPlace || past >= address.last;

/** What loads more of the newest messages; null where that would bring none, or others. */
const moreOf = () => (!fromPlace && olderExist() && store.messages < MOST_LAST && address.last < MOST_LAST ? () => choose({ last: MOST_LAST }) : null);

function pastHasCome() {
  if (!pastIsHere) rates.begin(!olderExist(), now());
  pastIsHere = true;
}

// -- numbers beside the rows -------------------------------------------------------------------------------------

const titleFacts = () => ({ paused: store.paused, waiting: store.waiting, state: stream.state.name });

function showNumbers() {
  showPause({ paused: store.paused, why: pausedBy, waiting: store.waiting, matching: match && waitingMatch, cap: store.cap });
  showFoot({ store, rows, search: address.search, retention, now: now() });
  showTitle(titleFacts());
}

function tick() {
  chart.update(rates, now());
  channels.update(rates, now(), address.search);
  if (stream.state.name === "waiting" || stream.state.name === "silent") showState(stream.state);
  showNumbers();
  setTimeout(tick, 1000 - (Date.now() % 1000) + 20);
}

function showWhyEmpty() {
  const facts = { shown: rows.shown, messages: store.messages, waiting: store.waiting, cleared, channels: address.channels, from: address.from, stored: storedSearch(site.stored, address), more: moreOf(), state: stream.state };
  showEmpty(facts, { clearSearch: () => search(""), allChannels: () => choose({ channels: [] }), again: () => start(), backToLive: act.backToLive, when: (ms) => fullTime(ms, options.utc) });
}

// -- what the reader does ----------------------------------------------------------------------------------------

function restart() {
  store.reset();
  cleared = false;
  target = revealing = pausedBy = null;
  rates.reset();
  past = 0;
  pastIsHere = fromPlace = false;
  resume();
  painter.all();
  return ++starts;
}

/** As the address says: the newest messages, or those since a moment, or those around one of them. */
async function start() {
  const mine = restart();
  readingFrom = fromPlace = address.around !== null || address.from !== null;
  if (!readingFrom) return stream.open({ channels: address.channels, last: address.last });
  stream.close();
  const { position, error } = await findPlace(site.place, address);
  if (mine !== starts) return;
  if (error) painter.add(store.divide({ note: error }));
  else target = address.around ? { at: address.around } : { ms: address.from };
  readingFrom = fromPlace = !error;
  stream.open({ channels: address.channels, ...(error ? { last: address.last } : { position }) });
}

function readFrom(position) {
  restart();
  readingFrom = fromPlace = true;
  stream.open({ channels: address.channels, position });
}

/** All that was asked for is here: shows the message it was about, and stays there. */
function showTarget() {
  const wanted = target;
  target = null;
  if (!wanted) return;
  const record = store.rows.find((row) => row.key && (wanted.at ? row.at === wanted.at : row.ms >= wanted.ms));
  if (record) reveal(record);
  else if (wanted.at) painter.add(store.divide({ note: "The message is not among these." }));
}

function reveal(record) {
  pause("place");
  pausedBy = "place";
  panel.selected = revealing = record;
  painter.all();
}

function showInContext(record) {
  if (address.channels.length || !store.rows.includes(record)) return choose({ channels: [], search: "", from: null, around: record.at });
  Object.assign(address, { search: "", around: record.at });
  history.pushState(null, "", location.pathname + writeAddress(address));
  $("search").value = "";
  applySearch();
  reveal(record);
}

/** Changes the address, which is the one place where filters live, and reconnects. */
function choose(change) {
  Object.assign(address, { around: null }, change);
  history.pushState(null, "", location.pathname + writeAddress(address));
  $("search").value = address.search;
  applySearch();
  start();
}

function search(text, { typing = false } = {}) {
  address.search = text;
  if (!typing) $("search").value = text;
  history.replaceState(null, "", location.pathname + writeAddress(address));
  applySearch();
}

function applySearch() {
  match = compileSearch(address.search);
  rows.match = match;
  hits.words = wordsOf(address.search);
  rows.columns = address.columns;
  showColumns(address);
  channels.show(address.channels, address.search);
  painter.all();
}

function pause(why) {
  if (store.paused) return;
  pausedBy = why;
  waitingMatch = 0;
  store.pause();
  rows.steady(showNumbers); // the bar that says so takes its place above the rows
}

function resume() {
  if (!store.paused) return;
  const left = pausedBy === "place";
  pausedBy = null;
  store.resume();
  painter.all();
  if (left) leavePlace();
}

/** From a place in the past to what happens now. */
function leavePlace() {
  const stopped = stream.state.name === "stopped";
  Object.assign(address, { from: null, around: null });
  history.replaceState(null, "", location.pathname + writeAddress(address));
  if (stopped) start();
}

function clearView() {
  store.clear();
  cleared = true;
  panel.close();
  painter.all();
}

function toggle(name) {
  options[name] = !options[name];
  remember("view", options);
  showOptions(options);
  detail.redraw();
  painter.all();
}

function useColumns(columns) {
  address.columns = columns;
  history.replaceState(null, "", location.pathname + writeAddress(address));
  applySearch();
}

bindControls({
  togglePause: () => (store.paused ? resume() : pause("you")),
  resume,
  clear: clearView,
  toggle,
  togglePublish: () => panel.togglePublish(),
  search: (text) => search(text, { typing: true }),
  retry: () => {
    if (stream.state.name === "refused") location.href = `${site.login}?next=${encodeURIComponent(location.pathname + location.search)}`;
    else stream.retryNow();
  },
  rowClicked: (record) => panel.toggle(record),
  step: (n) => panel.step(n),
  openSelected: () => panel.openSelected(),
  closePanel: () => panel.close(),
  newest: () => (resume(), rows.toNewest()),
  context: () => (panel.selected?.at ? showInContext(panel.selected) : false),
});
watchScrolling($("rows"), { atNewest: () => rows.atNewest, onLeave: () => pause("scroll"), onReturn: () => pausedBy === "scroll" && resume(), keepAtNewest: () => !store.paused && rows.toNewest() });
window.addEventListener("popstate", () => {
  const asked = () => JSON.stringify([address.channels, address.last, address.from, address.around]);
  const before = asked();
  Object.assign(address, readAddress(location.search));
  $("search").value = address.search;
  applySearch();
  if (asked() !== before) start();
});

watchJump({ options, now, to: (ms) => choose({ from: ms }) });
watchColumns({ address, records: () => store.rows.filter((row) => row.key), use: useColumns });
watchSaved({ address, use: choose });
watchExport({ url: site.export, address });
showOptions(options);
$("search").value = address.search;
applySearch();
$("pause").disabled = false;
$("unstarted").remove();
start();
channels.ask();
setInterval(() => channels.ask(), 60_000);
tick();
