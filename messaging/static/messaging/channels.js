// Channels heard and known, and the reader's choice -> the list at the left, the chips in the bar.

import { $, el, hue, icon } from "./dom.js";
import { count, rate } from "./format.js";
import { anyMatch, mutedBy } from "./filters.js";

const MOST = 300; // lines in the list; the search field finds the others
const SEARCH_FROM = 14;
const SPARK = 40; // seconds

// Where a channel stands in the list, in this order; the words are for its title.
const HERE = "on this page";
const HEARD = "none among the messages on this page";
const NOT_HEARD = "not among what this page hears";
const PLACES = [HERE, HEARD, NOT_HEARD];

export class Channels {
  #list = $("channels");
  #lines = new Map();
  #known = [];
  #url;
  #on;

  /** `on`: {choose(channels), mute(channel)}; `url` gives the names that the server knows. */
  constructor(url, on) {
    this.#url = url;
    this.#on = on;
    this.chosen = [];
    this.#list.addEventListener("click", (event) => this.#click(event));
    $("channels-all").addEventListener("click", () => on.choose([]));
    $("side-search").addEventListener("input", () => this.#order());
    $("chips").addEventListener("submit", (event) => this.#add(event));
    $("chip-input").addEventListener("change", (event) => this.#add(event));
    $("chip-input").addEventListener("keydown", (event) => {
      if (event.key === "Backspace" && !event.target.value && this.chosen.length) on.choose(this.chosen.slice(0, -1));
    });
    $("side-open").addEventListener("click", () => $("side").classList.add("open"));
    $("side-close").addEventListener("click", () => $("side").classList.remove("open"));
    document.addEventListener("click", (event) => event.target.closest("#side, #side-open") || $("side").classList.remove("open"));
  }

  #add(event) {
    event.preventDefault();
    const input = $("chip-input");
    const names = input.value.split(/[\s,]+/).filter(Boolean);
    input.value = "";
    if (names.length) this.#on.choose([...new Set([...this.chosen, ...names])]);
  }

  #click(event) {
    const name = event.target.closest("li")?.dataset.name;
    if (name === undefined) return;
    if (event.target.closest(".mute")) return this.#on.mute(name);
    const escaped = name.replace(/[*?[\]\\]/g, "\\$&"); // a foreign channel may be named like a pattern
    const has = this.chosen.includes(escaped);
    const several = event.ctrlKey || event.metaKey || event.shiftKey;
    if (several) this.#on.choose(has ? this.chosen.filter((other) => other !== escaped) : [...this.chosen, escaped]);
    else this.#on.choose(has && this.chosen.length === 1 ? [] : [escaped]);
    $("side").classList.remove("open");
  }

  /** The choice has changed, here or through the address. */
  show(chosen, search) {
    this.chosen = chosen;
    const muted = mutedBy(search);
    const heard = anyMatch(chosen);
    $("chip-list").replaceChildren(...chosen.map((name) => this.#chip(name)));
    $("chip-input").placeholder = chosen.length ? "add" : "All channels";
    $("channels-all").hidden = !chosen.length;
    for (const [name, line] of this.#lines) {
      const isChosen = chosen.includes(name.replace(/[*?[\]\\]/g, "\\$&"));
      line.item.classList.toggle("chosen", isChosen);
      line.pick.ariaPressed = isChosen;
      line.heard = heard(name);
      line.item.classList.toggle("unheard", !line.heard);
      line.item.classList.toggle("muted", muted(name));
      line.mute.ariaPressed = muted(name);
      line.mute.title = muted(name) ? `Show ${name} again` : `Mute ${name}`;
    }
  }

  #chip(name) {
    const drop = () => this.#on.choose(this.chosen.filter((other) => other !== name));
    return el("span.chip", {}, el("span", { title: name }, name), el("button", { type: "button", "aria-label": `Remove ${name}`, onclick: drop }, icon("x")));
  }

  /** Asks the server for names: suggestions, and channels that this stream does not carry. */
  async ask() {
    try {
      const response = await fetch(this.#url, { headers: { Accept: "application/json" } });
      if (response.ok) this.#known = (await response.json()).channels;
    } catch {} // suggestions only: the state badge tells of a lost connection
  }

  /** Once a second. */
  update(rates, now, search) {
    const before = this.#lines.size;
    for (const name of [...rates.channels.keys(), ...this.#known]) if (!this.#lines.has(name)) this.#lines.set(name, this.#line(name));
    if (this.#lines.size !== before) {
      this.show(this.chosen, search);
      $("channel-names").replaceChildren(...[...this.#lines.keys()].sort().slice(0, 500).map((name) => el("option", { value: name })));
    }
    let moved = false;
    for (const [name, line] of this.#lines) {
      const ring = rates.channels.get(name);
      const place = !line.heard ? NOT_HEARD : ring ? HERE : HEARD;
      moved ||= place !== line.place;
      line.place = place;
      const speed = ring ? rates.speed(ring, now) : 0;
      line.item.classList.toggle("idle", speed === 0);
      const text = place === NOT_HEARD ? "" : speed > 0 ? `${rate(speed)}/s` : count(ring?.total ?? 0);
      if (line.speed.textContent !== text) line.speed.textContent = text;
      line.pick.title = `${name}: ${place === HERE ? `${count(ring.total)} on this page` : place}`;
      const counts = ring ? rates.series(ring, Math.floor(now / 1000) - 1, SPARK) : [];
      line.spark.hidden = !counts.some(Boolean); // the name has its place then
      if (line.spark.offsetParent) drawSpark(line.spark, counts);
    }
    if (moved) this.#order();
    $("channel-count").textContent = this.#lines.size ? count(this.#lines.size) : "";
  }

  #line(name) {
    const speed = el("span.speed");
    const spark = el("canvas", { width: 80, height: 28, "aria-hidden": "true" });
    const pick = el("button.pick", { type: "button", "aria-pressed": "false" }, el("span.name", {}, name), spark, speed);
    const mute = el("button.icon-button.mute", { type: "button", "aria-label": `Mute ${name}` }, icon("shown"), icon("muted"));
    return { item: el(`li.${hue(name)}`, { "data-name": name }, pick, mute), pick, mute, speed, spark, heard: true, place: null };
  }

  #order() {
    const wanted = $("side-search").value.trim().toLowerCase();
    const place = (name) => PLACES.indexOf(this.#lines.get(name).place);
    const names = [...this.#lines.keys()].filter((name) => name.toLowerCase().includes(wanted));
    names.sort((a, b) => place(a) - place(b) || (a < b ? -1 : 1));
    this.#list.replaceChildren(...names.slice(0, MOST).map((name) => this.#lines.get(name).item));
    $("side-find").hidden = this.#lines.size < SEARCH_FROM;
    const more = names.length - MOST;
    $("side-note").hidden = names.length > 0 && more <= 0;
    $("side-note").textContent = more > 0 ? `${count(more)} more: search for them.` : wanted ? "No such channel." : "Channels appear here when something is published on them.";
  }
}

function drawSpark(canvas, counts) {
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  const top = Math.max(2, ...counts);
  const step = width / counts.length;
  context.clearRect(0, 0, width, height);
  context.fillStyle = getComputedStyle(canvas).color;
  counts.forEach((n, at) => n && context.fillRect(at * step, height - (n / top) * height, Math.max(1, step - 0.5), (n / top) * height));
}
