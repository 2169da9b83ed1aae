"""A stored message -> the command line or the code that publishes the same again, to be copied. Pure."""

from __future__ import annotations

import json
import shlex
from base64 import b64encode
from collections.abc import Iterator
from decimal import Decimal
from pprint import pformat
from typing import Any, NamedTuple

from messaging.attributes import check_channel
from messaging.entered import NotJson, data_of, tokens
from messaging.event import Event
from messaging.payload import TEXT, encode_data, parse_json

MAX_SNIPPET = 32 * 1024  # characters of a payload: Linux takes arguments of up to 128 KiB each
CSRF_TOKEN = "c" * 32  # any will do, as long as the cookie and the header agree


class Snippet(NamedTuple):
    """``name`` is fit for an HTML id."""

    name: str
    label: str
    text: str


def snippets(event: Event, *, publish_url: str | None) -> list[Snippet]:
    """All ways that can say this message; none for a foreign channel whose name nobody may publish to."""
    if len(event.payload) > MAX_SNIPPET:
        return []
    try:
        check_channel(event.channel)
    except ValueError:
        return []
    found = []
    typed = _typed(event)
    if typed is not None and not event.channel.startswith("-"):  # which would be taken for an option
        found.append(Snippet("command", "manage.py", command_line(event, *typed)))
    found.append(Snippet("python", "Python", python(event)))
    if typed is not None and publish_url is not None:
        found.append(Snippet("curl", "curl", curl(event, *typed, url=publish_url)))
    return found


def command_line(event: Event, kind: str, data: str) -> str:
    """``manage.py publish``, quoted for a POSIX shell."""
    words = ["python", "manage.py", "publish"]
    for option, value in (("--type", _type(event)), ("--key", event.key)):
        if value:
            words.append(f"{option}={value}")
    for name, value in event.headers.items():
        words += ["-H", f"{name}:{value}"]
    if kind != "auto":
        words.append(f"--{kind}")
    return shlex.join([*words, event.channel, data])


def curl(event: Event, kind: str, data: str, *, url: str) -> str:
    """A POST to the publish view, which takes no headers. Who runs it puts the id of a session into ``$SESSIONID``."""
    fields = {"channel": event.channel, "type": _type(event), "key": event.key, "data": data}
    if kind != "auto":
        fields["kind"] = kind
    lines = [
        f"curl -sS {shlex.quote(url)}",
        f'-b "sessionid=$SESSIONID; csrftoken={CSRF_TOKEN}"',
        f"-H {shlex.quote(f'X-CSRFToken: {CSRF_TOKEN}')} -H {shlex.quote(f'Referer: {url}')}",
        *(f"--data-urlencode {shlex.quote(f'{name}={value}')}" for name, value in fields.items() if value),
    ]
    return " \\\n  ".join(lines)


def python(event: Event) -> str:
    """A call of ``publish``, with the data as a literal where that says the same, else as the bytes of its JSON."""
    imports, data = [], ""
    if event.binary:
        imports, data = ["from base64 import b64decode", ""], _b64(event.payload)
    elif (literal := _literal(event)) is not None:
        data = literal
    else:
        imports, data = ["import msgspec", ""], f"msgspec.Raw({event.payload!r})"
    given: list[tuple[str, object]] = [
        ("type", _type(event)),
        ("key", event.key),
        ("headers", dict(event.headers)),
    ]
    arguments = [repr(event.channel), data, *(f"{name}={value!r}" for name, value in given if value)]
    call = f"publish({', '.join(arguments)})"
    if "\n" in call or len(call) > 100:
        call = "publish(\n    " + ",\n    ".join(each.replace("\n", "\n    ") for each in arguments) + ",\n)"
    return "\n".join([*imports, "from messaging import publish", "", call])


def _type(event: Event) -> str:
    return "" if event.type == event.channel else event.type


def _b64(payload: bytes) -> str:
    return f"b64decode({b64encode(payload).decode()!r})"


def _typed(event: Event) -> tuple[str, str] | None:
    """How a person would type the payload: as what, and the text; ``None`` for bytes and for what no argument holds."""
    if event.binary:
        return None
    text = event.payload.decode()
    if event.content_type.startswith(TEXT):
        value = _value(event)
        if isinstance(value, str) and value[:1] not in ("", "-") and _fits_in_an_argument(value):
            return "text" if _is_taken_for_json(value) else "auto", value
    if not _is_taken_for_json(text):
        return None
    return "auto", f" {text}" if text.startswith(
        "-"
    ) else text  # not every negative number is told from an option


def _fits_in_an_argument(text: str) -> bool:
    try:
        return b"\x00" not in text.encode()
    except UnicodeEncodeError:
        return False


def _is_taken_for_json(text: str) -> bool:
    try:
        return not isinstance(data_of(text), str)
    except NotJson:
        return True


def _value(event: Event) -> Any:
    try:
        return parse_json(event.payload)
    except ValueError:
        return None


def _literal(event: Event) -> str | None:
    """The data as a Python literal, if publishing that gives the same JSON."""
    try:
        value = parse_json(event.payload)
        again, content_type, _ = encode_data(value)
        if content_type != event.content_type or not _same(again.decode(), event.payload.decode()):
            return None
        return repr(value) if isinstance(value, str) else pformat(value, width=96, sort_dicts=False)
    except (ValueError, RecursionError):
        return None


def _same(one: str, other: str) -> bool:
    """Whether two JSON texts say the same, numbers by their exact value and members in the same order."""
    pairs = zip(_words(one), _words(other), strict=True)
    try:
        return all(a == b or _same_word(a, b) for a, b in pairs)
    except ValueError:
        return False


def _words(text: str) -> Iterator[str]:
    return (word for _, word in tokens(text))


def _same_word(one: str, other: str) -> bool:
    if one[0] == other[0] == '"':
        return bool(json.loads(one) == json.loads(other))
    return one[0] in "-0123456789" and other[0] in "-0123456789" and Decimal(one) == Decimal(other)
