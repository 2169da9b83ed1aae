"""A request's query and ``Last-Event-ID`` -> what the stream shall be, or a sentence that says what is wrong."""

from __future__ import annotations

from typing import NamedTuple

from django.http import HttpRequest

from messaging.attributes import MAX_ATTRIBUTE
from messaging.conf import conf
from messaging.errors import shown
from messaging.frames import Where, parse_id
from messaging.live.filters import Filter

DEFAULT_LAST = 200
MOST_LAST = 1000
MOST_WILD = 16  # sets and stars in one pattern: each takes time to compile, for whoever may open a stream


class BadQuery(ValueError):
    """The request asks for something that does not exist; the sentence names the value."""


class Query(NamedTuple):
    filter: Filter
    last: int  # entries of history, for a client that does not resume
    since: Where | None  # where a client resumes
    ticket: str = ""


def read(request: HttpRequest) -> Query:
    """The query of a request, or :class:`BadQuery`.

    A ``Last-Event-ID`` that is not one of ours (the header, or ``?position=``) is as good as none: the stream starts
    afresh with its history, and ``hello`` says ``"resumed": false``. The header wins: an EventSource that
    reconnects repeats its URL, and has read on since.
    """
    patterns = request.GET.getlist("channel")
    if len(patterns) > conf.LIVE_MAX_PATTERNS:
        raise BadQuery(f"at most {conf.LIVE_MAX_PATTERNS} times channel=, here are {len(patterns):,}")
    for pattern in patterns:
        if not 0 < len(pattern) <= MAX_ATTRIBUTE:
            raise BadQuery(
                f"channel has 1 to {MAX_ATTRIBUTE} characters, not {len(pattern):,}: {shown(pattern)}"
            )
        if not pattern.isprintable():
            raise BadQuery(f"channel has only printable characters: {shown(pattern)}")
        if pattern.count("[") + pattern.count("*") > MOST_WILD:
            raise BadQuery(f"a pattern has at most {MOST_WILD} of [ and *: {shown(pattern)}")
    last = request.GET.get("last", str(DEFAULT_LAST))
    if not (last.isascii() and last.isdecimal() and len(last) <= 9 and int(last) <= MOST_LAST):
        raise BadQuery(f"last is a number from 0 to {MOST_LAST:,}, not {shown(last)}")
    since = None
    if text := request.headers.get("Last-Event-ID") or request.GET.get("position"):
        since = parse_id(text.strip(), partitions=conf.PARTITIONS)
    return Query(Filter.of(patterns), int(last), since, request.GET.get("ticket", ""))
