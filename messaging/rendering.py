"""A stored payload -> text that a person reads: indented JSON, plain text, a hex dump. Pure, linear, never fails.

JSON is laid out from its text and never parsed into values: that would round numbers, drop doubled keys and give up
on a 5,000-digit integer. What is returned is plain text; the template that shows it does the escaping.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator

from messaging.payload import JSON, TEXT

SHOWN = 256 * 1024  # characters of a payload that one page shows; the whole is a download
SHOWN_BYTES = 16 * 1024  # bytes of a hex dump: a thousand lines
DEPTH = 64  # levels that get an indentation of their own; what lies deeper stays on its line
_LAID_OUT = 4 * SHOWN  # characters after indenting: a small text may grow large

Token = tuple[str, str]  # kind (key, string, number, literal, mark, space, more) and text

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|-?\d[\d.eE+-]*|[A-Za-z]+|[{}\[\],:]|\s+|.', re.DOTALL)
_ESCAPED = re.compile(r"(\\\\)|((?:\\u[0-9a-fA-F]{4})+)")
_WHOLE_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*')
_END_OF_STRING = re.compile(
    r'(?:"|\\(?:u[0-9a-fA-F]{0,3})?)?\s*\Z'
)  # or the escape that the cut went through
# Signs that change how the text around them is read, or cannot be seen at all: shown as escapes.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
_CLOSER = {"{": "}", "[": "]"}


def pretty(payload: str, binary: bool, *, content_type: str = JSON) -> str:
    """The payload for eyes. JSON is indented, ``\\u00e9`` shown as é; a text message is its text; bytes are a hex dump.

    ``payload`` is the column of :class:`~messaging.models.Message`: JSON text, or base64 when ``binary``. At most
    ``SHOWN`` characters of it are laid out; "…" marks the cut.
    """
    if binary:
        return hexdump(payload_bytes(payload))
    return "".join(text for _, text in laid_out(payload, content_type=content_type))


def raw(payload: str, binary: bool) -> str:
    """The payload as published, up to ``SHOWN`` characters: its JSON, or its bytes as far as they are text."""
    if binary:
        return decoded(payload_bytes(payload, SHOWN))
    return payload[:SHOWN]


def is_cut(payload: str, binary: bool) -> bool:
    """Whether :func:`pretty` and :func:`raw` leave something out."""
    return len(payload) > (SHOWN_BYTES * 4 // 3 if binary else SHOWN)


def laid_out(payload: str, *, content_type: str = JSON) -> list[Token]:
    """JSON text -> tokens with the line ends and the indentation between them; whatever is not JSON is one token."""
    if content_type.startswith(TEXT) and (text := _text_of(payload[:SHOWN])) is not None:
        return [("text", text)] + ([("more", "…")] if len(payload) > SHOWN else [])
    return _indented(payload) or [("text", visible(payload[:SHOWN]))]


def preview(payload: str, binary: bool, *, content_type: str = JSON, limit: int = 120) -> str:
    """The beginning of a payload on one line, at most ``limit`` characters. ``payload`` may be cut already."""
    if binary:
        data = payload_bytes(payload, limit)
        return " ".join(f"{byte:02x}" for byte in data[: limit // 3])
    head = payload[: limit * 8]
    if content_type.startswith(TEXT) and (text := _text_of(head)) is not None:
        line = " ".join(text.split())
    else:
        line = "".join(
            readable(token) + (" " if token in (",", ":") else "")
            for token in (found[0] for found in _TOKEN.finditer(head))
            if not token.isspace()
        )
    return line if len(line) <= limit else line[: limit - 1] + "…"


def hexdump(data: bytes, *, limit: int = SHOWN_BYTES) -> str:
    """Bytes -> lines of offset, 16 bytes in hexadecimal, and their ASCII."""
    lines = []
    for start in range(0, min(len(data), limit), 16):
        row = data[start : min(start + 16, limit)]
        left, right = row[:8].hex(" "), row[8:].hex(" ")
        ascii_ = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{start:08x}  {left:<23}  {right:<23}  |{ascii_}|")
    if len(data) > limit:
        lines.append(f"… {len(data) - limit:,} more bytes")
    return "\n".join(lines) or "(no bytes)"


def decoded(data: bytes, *, limit: int = SHOWN) -> str:
    """Bytes -> text as far as they are UTF-8; every other byte as ``\\xNN``."""
    return visible(data[:limit].decode("utf-8", "backslashreplace"))


def payload_bytes(payload: str, limit: int | None = None) -> bytes:
    """The first ``limit`` bytes behind base64 text (all without a limit); what is not base64 is taken as it stands."""
    text = payload if limit is None else payload[: (limit + 2) // 3 * 4]
    try:
        return b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return text.encode("utf-8", "surrogatepass")


def visible(text: str) -> str:
    """Control characters, lone surrogates and signs that reverse or hide text, as escapes; line ends and tabs stay."""
    return _INVISIBLE.sub(_escape, text)


def readable(token: str) -> str:
    """A JSON token with its ``\\uNNNN`` escapes as the characters they stand for, if those can be printed."""
    if "\\u" in token:
        token = _ESCAPED.sub(_unescape, token)
    return _INVISIBLE.sub(lambda found: f"\\u{ord(found[0]):04x}", token)


def _unescape(found: re.Match[str]) -> str:
    if found[1]:
        return found[0]
    text: str = json.loads(f'"{found[0]}"')
    return "".join(
        sign if sign.isprintable() and sign not in '"\\' else json.dumps(sign)[1:-1] for sign in text
    )


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def _text_of(payload: str) -> str | None:
    """The text of a JSON string, which may be cut short anywhere; ``None`` if it is no JSON string."""
    found = _WHOLE_STRING.match(payload)
    if found is None or not _END_OF_STRING.match(payload, found.end()):
        return None
    return visible(json.loads(found[0] + '"'))


def _indented(payload: str) -> list[Token] | None:
    """Tokens with white space between them; ``None`` for what is not balanced."""
    out: list[Token] = []
    open_: list[str] = []  # the closing mark of each level
    previous = ""
    after_value = False
    size = 0
    for token in _tokens(payload[:SHOWN]):
        first = token[0]
        space = ""
        is_value = first not in "}],:"
        if (is_value and after_value) or (first in "}]" and (not open_ or open_.pop() != first)):
            return None
        after_value = first not in "{[,:"
        if len(open_) <= DEPTH:
            if first in "}]":
                space = "" if previous in ("{", "[") else _line(len(open_))
            elif previous in ("{", "[", ","):
                space = _line(len(open_))
        elif previous == ",":
            space = " "
        if previous == ":":
            space = " "
        if space:
            out.append(("space", space))
        kind = _kind(first, key=bool(open_) and open_[-1] == "}" and previous in ("{", ","))
        shown = readable(token)
        out.append((kind, shown))
        size += len(space) + len(shown)
        if first in _CLOSER:
            open_.append(_CLOSER[first])
        previous = token if kind == "mark" else ""
        if size > _LAID_OUT:
            break
    if len(payload) > SHOWN or size > _LAID_OUT:
        out.append(("more", "…"))
    elif open_:
        return None
    return out


def _tokens(text: str) -> Iterator[str]:
    return (found[0] for found in _TOKEN.finditer(text) if not found[0].isspace())


def _line(level: int) -> str:
    return "\n" + "  " * min(level, DEPTH)


def _kind(first: str, *, key: bool) -> str:
    if first == '"':
        return "key" if key else "string"
    if first in "{}[],:":
        return "mark"
    return "number" if first in "-0123456789" else "literal"
