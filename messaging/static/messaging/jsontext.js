// JSON as text -> spans, tokens, indented text. Pure.
// The page never shows JSON that went through JSON.parse: that would round 9007199254740993, turn 1e400 into null and
// drop doubled keys. What is shown is what was published.

const MAX_DEPTH = 200;
const TOKEN = /"[^"\\]*(?:\\[^][^"\\]*)*"?|-?\d[\d.eE+-]*|[a-zA-Z]+|[{}[\],:]|[ \t\r\n]+|[^]/y;
const AFTER_STRING = /[ \t\r\n]*:/y;

/** The text of member `name` of the object that starts at `from` -> {start, end}, or null. */
export function member(text, from, name) {
  if (text[from] !== "{") return null;
  let at = from + 1;
  while (at < text.length) {
    at = skipSpace(text, at);
    if (text[at] === ",") at = skipSpace(text, at + 1);
    if (text[at] !== '"') return null;
    const keyEnd = skipString(text, at);
    const key = text.slice(at + 1, keyEnd - 1);
    at = skipSpace(text, keyEnd);
    if (text[at] !== ":") return null;
    const start = skipSpace(text, at + 1);
    const end = skipValue(text, start);
    if (key === name) return { start, end };
    at = end;
  }
  return null;
}

function skipSpace(text, at) {
  while (at < text.length && " \t\r\n".includes(text[at])) at++;
  return at;
}

function skipString(text, at) {
  for (at++; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 92) at++;
    else if (code === 34) return at + 1;
  }
  return at;
}

function skipValue(text, at) {
  let depth = 0;
  while (at < text.length) {
    const char = text[at];
    if (char === '"') {
      at = skipString(text, at);
      if (depth === 0) return at;
      continue;
    }
    if (char === "{" || char === "[") depth++;
    else if (char === "}" || char === "]") {
      if (depth === 0) return at;
      if (--depth === 0) return at + 1;
    } else if (depth === 0 && (char === "," || char === " " || char === "\n" || char === "\r" || char === "\t")) return at;
    at++;
  }
  return at;
}

/** Each token as [kind, text]; kinds: key, string, number, literal, mark, space. Never fails: JSON may be cut short. */
export function* tokens(text) {
  let at = 0;
  while (at < text.length) {
    TOKEN.lastIndex = at;
    const [token] = TOKEN.exec(text);
    at += token.length;
    const first = token[0];
    if (first === '"') {
      AFTER_STRING.lastIndex = at;
      yield [AFTER_STRING.test(text) ? "key" : "string", token];
    } else if ("{}[],:".includes(first)) yield ["mark", token];
    else if (first === "-" || (first >= "0" && first <= "9")) yield ["number", token];
    else if (token.trim() === "") yield ["space", token];
    else yield ["literal", token];
  }
}

/** The first `limit` characters on one line, as tokens with one space after each colon and comma. */
export function preview(text, limit) {
  const out = [];
  let length = 0;
  for (const [kind, token] of tokens(text)) {
    if (kind === "space") continue;
    let shown = kind === "string" || kind === "key" ? readable(token) : token;
    if (kind === "mark" && (token === "," || token === ":")) shown += " ";
    if (length + shown.length > limit) {
      out.push([kind, shown.slice(0, limit - length)], ["more", "…"]);
      break;
    }
    length += shown.length;
    const last = out[out.length - 1];
    if (last && last[0] === "mark" && kind === "mark") last[1] += shown;
    else out.push([kind, shown]);
  }
  return out;
}

/** Indented tokens, or null for what cannot be laid out: nested over 200 deep, or not balanced. */
export function pretty(text) {
  const out = [];
  const open = [];
  let previous = "";
  const line = () => out.push(["space", "\n" + "  ".repeat(open.length)]);
  for (const [kind, token] of tokens(text)) {
    if (kind === "space") continue;
    if (token === "}" || token === "]") {
      if (open.pop() !== token) return null;
      if (previous !== "{" && previous !== "[") line();
    } else if (previous === "{" || previous === "[" || previous === ",") line();
    out.push([kind, kind === "string" || kind === "key" ? readable(token) : token]);
    if (token === "{" || token === "[") {
      if (open.push(token === "{" ? "}" : "]") > MAX_DEPTH) return null;
    } else if (token === ":") out.push(["space", " "]);
    previous = kind === "mark" ? token : "";
  }
  return open.length ? null : out;
}

/** Indented text that is still the same JSON: escapes are left as they are. Null as for `pretty`. */
export function indented(text) {
  const kept = [];
  for (const [kind, token] of tokens(text)) if (kind === "string" || kind === "key") kept.push(token);
  const laid = pretty(text);
  if (!laid) return null;
  let next = 0;
  return laid.map(([kind, token]) => (kind === "string" || kind === "key" ? kept[next++] : token)).join("");
}

const EXPECTED = { value: "a value", key: "a name in double quotes", colon: "a colon", comma: "a comma", end: "the end" };
const STRING = /^"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"$/;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** Where a text stops being JSON -> {at, why}, or null. For the reader's eyes: JSON.parse decides, but seldom says where. */
export function problem(text) {
  const open = [];
  let expected = "value";
  let mayClose = false; // right behind an opening bracket
  let at = 0;
  for (const [kind, token] of tokens(text)) {
    const here = at;
    at += token.length;
    if (kind === "space") continue;
    const wrong = { at: here, why: `Expected ${open.length || expected !== "comma" ? EXPECTED[expected] : EXPECTED.end}${mayClose || (open.length && expected === "comma") ? ` or ${open.at(-1)}` : ""}` };
    if (token === "}" || token === "]") {
      if (open.pop() !== token || !(mayClose || expected === "comma")) return wrong;
      expected = "comma";
    } else if (expected === "comma" || expected === "colon") {
      if (token !== (expected === "comma" ? "," : ":") || (expected === "comma" && !open.length)) return wrong;
      expected = expected === "comma" && open.at(-1) === "}" ? "key" : "value";
    } else if (token[0] === '"') {
      if (!STRING.test(token)) return { at: here, why: token.length > 1 && token.endsWith('"') ? "A line end or a wrong escape in this text" : "This text is not closed" };
      expected = expected === "key" ? "colon" : "comma";
    } else if (expected === "key") return wrong;
    else if (token === "{" || token === "[") {
      open.push(token === "{" ? "}" : "]");
      expected = token === "{" ? "key" : "value";
      mayClose = true;
      continue;
    } else if (kind === "number" ? !NUMBER.test(token) : !["true", "false", "null"].includes(token)) return wrong;
    else expected = "comma";
    mayClose = false;
  }
  if (open.length) return { at: text.length, why: `Not closed: ${open.at(-1)} is missing` };
  return expected === "value" ? { at: text.length, why: "Expected a value" } : null;
}

/** `\u00e9` as é in a JSON string: for eyes only, and only what is printable and keeps its direction. */
export function readable(token) {
  if (!token.includes("\\u")) return token;
  return token.replace(/(\\\\)|((?:\\u[0-9a-fA-F]{4})+)/g, (all, backslash) => {
    if (backslash) return all;
    const text = JSON.parse(`"${all}"`);
    return /[\p{C}\p{Z}"\\]/u.test(text) ? all : text;
  });
}
