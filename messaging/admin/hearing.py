"""A request -> the channels that its user may hear, where ``LIVE_MAY_HEAR`` decides. Without it all of this is idle.

The function is asked once for each channel and request. Lists ask about the rows that they look at and not about all
channels there are: so they also leave out what is not stored yet, and their order is still that of an index.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from itertools import islice
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from messaging.admin.reading import M, ReadingAdmin
from messaging.live.access import may_hear
from messaging.live.rights import decider

LOOKED_AT = 10_000  # names of channels, for a list of them
CHUNK = 1000  # rows read at a time

Hears = Callable[[str], bool]

_KEPT = "_messaging_hears"  # of the request


def hears(request: HttpRequest) -> Hears | None:
    """What says whether the user may hear a channel; ``None`` where nobody is kept from any."""
    if decider() is None:
        return None
    kept: Hears | None = vars(request).get(_KEPT)
    if kept is None:
        kept = vars(request)[_KEPT] = cache(partial(may_hear, request.user))
    return kept


def keys_heard(rows: QuerySet[Any], channel: str, heard: Hears, limit: int) -> list[int]:
    """The keys of the first ``limit`` rows that are heard; ``channel`` is the field with the name."""
    named = rows.values_list("pk", channel).iterator(chunk_size=CHUNK)
    return list(islice((pk for pk, name in named if heard(name)), limit))


class HearingAdmin(ReadingAdmin[M]):
    """A row of a channel that the user may not hear is as good as not there."""

    channel_field = "channel"

    def is_heard(self, request: HttpRequest, row: Model) -> bool:
        heard = hears(request)
        return heard is None or heard(getattr(row, self.channel_field))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> M | None:
        row = super().get_object(request, object_id, from_field)
        return row if row is not None and self.is_heard(request, row) else None


class ChannelList(ChangeList):
    """Of the channels those that the user may hear, among the first ``LOOKED_AT`` that the search leaves."""

    is_cut = False  # are there more?

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        found: QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        heard = hears(request)
        if heard is None:
            return found
        self.is_cut = found[LOOKED_AT : LOOKED_AT + 1].exists()
        return found.filter(pk__in=keys_heard(found[:LOOKED_AT], "name", heard, LOOKED_AT))
