"""Entries of the quarantine -> what a user sees of them: bytes and reasons quote what others may not read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.db.models.functions import Length
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from messaging import redaction
from messaging.admin.hearing import Hears, hears
from messaging.conf import conf
from messaging.frames import channel_of
from messaging.models import Quarantine

HIDDEN = gettext_lazy("not shown: what cannot be read cannot be redacted")
UNHEARD = gettext_lazy("not shown: only those who may read its channel see it")


class QuarantineList(ChangeList):
    """The reasons of those entries only whose channel the user may hear: a reason quotes what it is about."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = with_reasons(request, self.result_list)


def with_reasons(request: HttpRequest, rows: Iterable[Any]) -> list[Any]:
    """A page of entries as this user may see them."""
    found, heard = list(rows), hears(request)
    if not redaction.may_see_all(request.user):
        shown, why = set(), str(HIDDEN)
    elif heard is not None:
        shown, why = _heard([row.pk for row in found], heard), str(UNHEARD)
    else:
        return found
    for row in found:
        if row.pk not in shown:
            row.reason = row.reason_head = (
                why  # the box to tick it is labelled with its name, which has its reason
            )
    return found


def hidden(request: HttpRequest, row: Quarantine) -> str:
    """Why the user does not see bytes and reason; "" if they are shown."""
    if not redaction.may_see_all(request.user):
        return str(HIDDEN)
    heard = hears(request)
    return "" if heard is None or _is_heard(bytes(row.body), heard) else str(UNHEARD)


def unnamed(request: HttpRequest, rows: Sequence[Quarantine]) -> Sequence[Quarantine]:
    """For Django's log, which keeps an entry's name: that has its reason in it."""
    if hears(request) is not None or not redaction.may_see_all(request.user):
        for row in rows:
            row.reason = str(UNHEARD if redaction.may_see_all(request.user) else HIDDEN)
    return rows


def _is_heard(body: bytes, heard: Hears | None) -> bool:
    """May the user read an entry of the log? One that has no channel is of the channel ""."""
    return heard is None or heard(channel_of(body) or "")


def _heard(keys: Iterable[int], heard: Hears) -> set[int]:
    """Of a page of the quarantine; an entry larger than any message is not read for it, and is not among them."""
    rows = Quarantine.objects.using(conf.DATABASE).annotate(size=Length("body"))
    small = rows.filter(pk__in=list(keys), size__lte=conf.MAX_EVENT_BYTES).values_list("pk", "body")
    return {pk for pk, body in small.iterator(chunk_size=5) if _is_heard(bytes(body), heard)}
