// Tag, properties, children -> an element. Text only ever becomes text: nothing from a message is parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** `el("a.link", {href: "/x", onclick: f, "aria-label": "y"}, "text", child, null)` */
export function el(tag, properties = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An icon of messaging/icons.html. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export const $ = (id) => document.getElementById(id);

/** The class that gives a channel its colour: FNV-1a over the name, one of twelve hues. */
export function hue(channel) {
  let hash = 0x811c9dc5;
  for (let at = 0; at < channel.length; at++) hash = Math.imul(hash ^ channel.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b); // siblings such as orders.paid and orders.sent should differ
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return `hue-${((hash ^ (hash >>> 16)) >>> 0) % 12}`;
}
