"""An event -> what a person may see of it: without the fields of ``REDACT_FIELDS``, then as ``REDACT`` returns it.

Everything that is shown goes through here: frames of streams, pages, the admin, what is copied, and what a search
looks at, so that none can be used to guess. What works with messages (subscribers, tasks, publishing again,
``manage.py tail``, which needs access to Redis itself) has them as they are; so have downloads and exports of users
with the permission ``messaging.view_unredacted``.

A field is ``data.user.password``, ``data.**.token``, ``headers.authorization`` or ``key`` (:mod:`messaging.spots`),
with ``payments.*:`` before it for some channels only. Texts and bytes have no fields: ``secrets.*:data`` hides all.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from django.utils.module_loading import import_string

from messaging.conf import conf
from messaging.decoder import NotAnEvent, decode
from messaging.event import Event, encode
from messaging.patterns import matches
from messaging.payload import TEXT, encode_data
from messaging.spots import Spots

logger = logging.getLogger("messaging.live")

PERMISSION = "messaging.view_unredacted"
REDACTED = "[redacted]"
FAILED = "[not shown: it could not be redacted]"
UNREADABLE = "not an event; its bytes are not shown, since they cannot be redacted"
_MARK = f'"{REDACTED}"'

_raw = msgspec.json.Decoder(msgspec.Raw)


class BadField(ValueError):
    """An entry of ``REDACT_FIELDS`` that names nothing."""


class Field(NamedTuple):
    channels: str  # a name or glob
    path: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Field:
        """``[CHANNELS:]PATH``, or :class:`BadField`."""
        channels, colon, path = text.rpartition(":")
        steps = tuple(path.split("."))
        if not all(steps) or (colon and not channels):
            raise BadField(f"not [CHANNELS:]data.PATH, headers.NAME or key: {text!r}")
        if steps[0] != "data" and steps != ("key",) and not (steps[0] == "headers" and len(steps) == 2):
            raise BadField(f"a path begins with data, or is headers.NAME or key: {text!r}")
        return cls(channels or "*", steps)


class _Fields(NamedTuple):
    """What is to be left out of the events of one channel."""

    spots: Spots | None  # within the payload
    payload: bool  # all of it
    headers: tuple[str, ...]
    key: bool


def is_on() -> bool:
    """Is anything redacted at all?"""
    return bool(conf.REDACT_FIELDS or conf.REDACT)


def may_see_all(user: Any) -> bool:
    """May this user have files with what was published?"""
    return not is_on() or bool(user.has_perm(PERMISSION))


def asks_user() -> bool:
    """Does it depend on who looks?"""
    return bool(conf.REDACT) and _hook(conf.REDACT).asks_user


def redacted(event: Event, user: Any) -> Event:
    """What this user may see of it. The same object if that is everything."""
    return for_user(for_everybody(event), user)


def for_everybody(event: Event) -> Event:
    """The part that does not depend on who looks."""
    if fields := conf.REDACT_FIELDS:
        event = _without(event, _fields_of(fields, event.channel))
    if (path := conf.REDACT) and not _hook(path).asks_user:
        event = _called(path, event)
    return event


def for_user(event: Event, user: Any) -> Event:
    """The part that does, of what :func:`for_everybody` has left."""
    if (path := conf.REDACT) and _hook(path).asks_user:
        event = _called(path, event, user)
    return event


def argument(value: Any) -> Any:
    """An argument of a task as it may be shown: the event of a subscriber's task, or a value whose fields are looked
    for as in a payload of any channel."""
    if isinstance(value, str) and value.startswith('{"specversion"'):
        try:
            return encode(for_everybody(decode(value.encode()))).decode()
        except NotAnEvent:
            return FAILED
    if (fields := conf.REDACT_FIELDS) and (spots := _fields_of(fields, "").spots) is not None:
        text = msgspec.json.encode(value).decode()
        return msgspec.json.decode(spots.replaced(text, _MARK))
    return value


def with_data(event: Event, data: Any) -> Event:
    """The event with another payload, for functions of ``REDACT``; takes what :func:`messaging.publish` takes."""
    payload, content_type, binary = encode_data(data)
    return msgspec.structs.replace(event, payload=payload, content_type=content_type, binary=binary)


# -- fields -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _fields_of(texts: tuple[str, ...], channel: str) -> _Fields:
    found = map(Field.of, texts)
    paths = [field.path for field in found if field.channels == "*" or matches(field.channels, channel)]
    inner = sorted({path[1:] for path in paths if path[0] == "data"})
    return _Fields(
        Spots(inner) if inner else None,
        () in inner or ("**",) in inner,
        tuple(path[1].lower() for path in paths if path[0] == "headers"),
        ("key",) in paths,
    )


def _without(event: Event, fields: _Fields) -> Event:
    changes: dict[str, Any] = {}
    if fields.payload:
        changes |= {"payload": _MARK.encode(), "content_type": TEXT, "binary": False}
    elif fields.spots is not None and not event.binary:
        text = event.payload.decode("utf-8", "replace")
        if (left := fields.spots.replaced(text, _MARK)) is not text:
            changes["payload"] = left.encode()
    if fields.key and event.key:
        changes["key"] = REDACTED
    if fields.headers and event.headers:
        headers = {
            name: REDACTED if any(matches(each, name) for each in fields.headers) else value
            for name, value in event.headers.items()
        }
        if headers != event.headers:
            changes["headers"] = headers
    return msgspec.structs.replace(event, **changes) if changes else event


# -- a function of the site's -------------------------------------------------------------------------------------


class _Hook(NamedTuple):
    function: Callable[..., Any]
    asks_user: bool


@lru_cache(maxsize=8)
def _hook(path: str) -> _Hook:
    function: Callable[..., Any] = import_string(path)
    return _Hook(function, len(inspect.signature(function).parameters) > 1)


def _called(path: str, event: Event, *user: Any) -> Event:
    """What the function returns: another payload, key and headers. If it fails, nothing of these is shown."""
    try:
        result = _hook(path).function(event, *user)
        found: Event = msgspec.structs.replace(
            event,
            payload=result.payload,
            content_type=result.content_type,
            binary=result.binary,
            key=result.key,
            headers=result.headers,
        )
        if found == event:
            return event
        if not found.binary:
            _raw.decode(found.payload)
        encode(found)
    except Exception as error:  # whatever a site's function raises
        logger.error("%s failed, an event on %s is not shown: %r", path, event.channel, error)
        changes: dict[str, Any] = {"payload": f'"{FAILED}"'.encode(), "content_type": TEXT, "binary": False}
        return msgspec.structs.replace(event, **changes, key="", headers={})
    return found
