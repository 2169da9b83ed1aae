// A page that is to reload itself: what it shows is fetched and put in its place. While somebody types in it, or has
// typed and not sent it, it stays as it is. Without scripts the browser reloads it whole.

const content = document.getElementById("content-main");
const FIELDS = "input:not([type=hidden], [type=submit]), textarea";

setInterval(reload, Number(content.dataset.every) * 1000);

async function reload() {
  if (document.hidden || inUse()) return;
  let fresh;
  try {
    const response = await fetch(location.href);
    if (response.redirected) return location.reload(); // signed out: what the browser makes of it
    fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("content-main");
  } catch {
    return; // the site is away for a moment
  }
  if (fresh && !inUse()) content.replaceChildren(...fresh.childNodes);
}

function inUse() {
  return [...content.querySelectorAll(FIELDS)].some((field) => field === document.activeElement || isChanged(field));
}

function isChanged(field) {
  if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
  return field.value !== field.defaultValue;
}
