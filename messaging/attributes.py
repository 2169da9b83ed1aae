"""A channel, type, key, id or header -> the same, checked and as JSON, or an error that names the value. Pure.

Rules come from the CloudEvents specification 1.0.2, "Context Attributes". Lengths are ours: a row has to hold them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from messaging.errors import InvalidAttribute, InvalidChannel, shown

MAX_ATTRIBUTE = 255  # characters of a channel, type, key, id or source: the width of their columns
MAX_HEADER = 4096  # characters of one header's value

# An attribute of the envelope -> the field of an Event that holds it; "" = it is dealt with by name.
KNOWN = {
    "specversion": "",
    "id": "id",
    "source": "source",
    "type": "type",
    "subject": "channel",
    "time": "time",
    "datacontenttype": "content_type",
    "partitionkey": "key",
    "correlationid": "correlation_id",
    "causationid": "causation_id",
    "traceparent": "traceparent",
    "data": "",
    "data_base64": "",
    "logid": "",
}
HEADER_NAME = re.compile(r"[a-z0-9]{1,20}")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NOT_IN_CHANNEL = re.compile(r"[\s\x00-\x1f\x7f-\x9f*?\[\]\\\ud800-\udfff]")


def plain(name: str, value: object) -> str:
    """A ``str`` of no subclass (an enum member's value, a SafeString's text), or :class:`InvalidAttribute`."""
    if value.__class__ is str:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    raise InvalidAttribute(f"{name} is a str, not {type(value).__name__}: {shown(value)}")


def check_channel(channel: str) -> str:
    """The name of a channel as a plain ``str``, or :class:`InvalidChannel`.

    A channel has 1 to 255 characters, none of them white space, a control character or one of the glob characters
    ``* ? [ ] \\``, so that a name is never mistaken for a pattern.
    """
    if channel.__class__ is not str:
        if not isinstance(channel, str):
            raise InvalidChannel(f"a channel is a str, not {type(channel).__name__}: {shown(channel)}")
        channel = str.__str__(channel)
    _check_channel(channel)
    return channel


@lru_cache(maxsize=4096)
def _check_channel(channel: str) -> None:
    if not channel:
        raise InvalidChannel("a channel has at least one character: ''")
    if len(channel) > MAX_ATTRIBUTE:
        raise InvalidChannel(
            f"a channel has at most {MAX_ATTRIBUTE} characters, this one has {len(channel):,}: {shown(channel)}"
        )
    if bad := _NOT_IN_CHANNEL.search(channel):
        raise InvalidChannel(f"a channel has no {shown(bad.group())} in it: {shown(channel)}")


def check_attribute(name: str, value: str, *, limit: int = MAX_ATTRIBUTE) -> bytes:
    """The value of a string attribute as JSON, or :class:`InvalidAttribute`: 1 to ``limit`` printable characters."""
    value = plain(name, value)
    if 0 < len(value) <= limit and value.isprintable():  # neither control characters nor surrogates are
        return msgspec.json.encode(value)
    if not value or len(value) > limit:
        raise InvalidAttribute(
            f"{name} has 1 to {limit:,} characters, this one has {len(value):,}: {shown(value)}"
        )
    if bad := CONTROL.search(value):
        raise InvalidAttribute(
            f"{name} has no control character such as {shown(bad.group())}: {shown(value)}"
        )
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        raise InvalidAttribute(f"{name} has a lone surrogate: {shown(value)}") from None


def check_header(name: str, value: str) -> bytes:
    """The value of a header as JSON, or :class:`InvalidAttribute`: up to 4,096 printable characters."""
    return b'""' if value == "" else check_attribute(name, value, limit=MAX_HEADER)


def check_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers as a dict of plain strings, or :class:`InvalidAttribute`."""
    if not isinstance(headers, Mapping):
        raise InvalidAttribute(f"headers are a mapping of names to values, not {shown(headers)}")
    checked = {}
    for name, value in headers.items():
        if not isinstance(name, str) or not HEADER_NAME.fullmatch(name) or name in KNOWN:
            raise InvalidAttribute(
                "a header's name has 1 to 20 lower-case letters and digits and is not an attribute of the event: "
                f"{shown(name)}"
            )
        check_header(f"header {name!r}", value)
        checked[plain("a header's name", name)] = plain(name, value)
    return checked
