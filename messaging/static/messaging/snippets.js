// A record -> the command or the code that publishes the same again. Pure.

const shell = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
const python = (text) => JSON.stringify(text).replace(/[\u007f-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);

function extras(record) {
  const type = record.type && record.type !== record.channel ? record.type : null;
  return { type, key: record.event.partitionkey ?? null };
}

export function asCommand(record) {
  const { type, key } = extras(record);
  const options = (type ? ` --type ${shell(type)}` : "") + (key ? ` --key ${shell(key)}` : "");
  if (record.kind === "binary") return `printf %s ${shell(record.raw)} | base64 -d | python manage.py publish ${shell(record.channel)} -${options}`;
  return `python manage.py publish ${shell(record.channel)} ${shell(record.raw)}${options}`;
}

export function asPython(record) {
  const { type, key } = extras(record);
  const options = (type ? `, type=${python(type)}` : "") + (key ? `, key=${python(key)}` : "");
  const data = { binary: `b64decode(${python(record.raw)})`, json: `json.loads(${python(record.raw)})`, text: python(record.raw) }[record.kind];
  const imports = { binary: "from base64 import b64decode\n\n", json: "import json\n\n", text: "" }[record.kind];
  return `${imports}from messaging import publish\n\npublish(${python(record.channel)}, ${data}${options})\n`;
}

const CSRF_TOKEN = "c".repeat(32); // any will do, as long as the cookie and the header agree

/** A POST to the publish view. Who runs it puts the id of a session into $SESSIONID. Null for bytes: a form has only text. */
export function asCurl(record, url) {
  if (record.kind === "binary") return null;
  const { type, key } = extras(record);
  const fields = { channel: record.channel, type, key, kind: record.kind, data: record.raw };
  const lines = [`curl -sS ${shell(url)}`, `-b "sessionid=$SESSIONID; csrftoken=${CSRF_TOKEN}"`, `-H 'X-CSRFToken: ${CSRF_TOKEN}' -H ${shell(`Referer: ${url}`)}`];
  for (const [name, value] of Object.entries(fields)) if (value) lines.push(`--data-urlencode ${shell(`${name}=${value}`)}`);
  return lines.join(" \\\n  ");
}

/** The CloudEvents envelope, its data as published. */
export function asEvent(record) {
  const head = JSON.stringify(record.event).slice(0, -1);
  const data = record.kind === "binary" ? `"data_base64":${JSON.stringify(record.raw)}` : `"data":${record.kind === "json" ? record.raw : JSON.stringify(record.raw)}`;
  return `${head},${data}}`;
}
