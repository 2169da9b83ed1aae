"""Filters and search -> one page of rows, newest first, at a cost that does not grow with the table.

At most ``LISTED`` rows are counted or paged through; beyond that the count reads "10,000+". What an index answers
(channel, time, pending or stored) looks at the whole table. Everything else (search, type, late, and what a user may
hear) is a scan, and reads the newest ``SCANNED`` of the rows that the indexed filters leave.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR, SEARCH_VAR, ChangeList
from django.core.paginator import InvalidPage, Paginator
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Func, IntegerField, Q, QuerySet
from django.db.models.functions import Left, Right
from django.db.models.sql.compiler import SQLCompiler
from django.http import HttpRequest

from messaging import redaction
from messaging import rows as rows_of
from messaging.admin.filters import ChannelFilter, MessageFilter
from messaging.admin.hearing import Hears, hears, keys_heard
from messaging.models import Message
from messaging.quantities import moment

LISTED = 10_000
SCANNED = 100_000
PREVIEWED = 960  # characters of a payload that a row of the list is made from

# Each is the order of an index, so that a page is read and not sorted: of the log, of one channel, of the outbox.
NEWEST_STORED = ("-log_ms", "-log_seq", "-pk")
NEWEST_OF_CHANNEL = ("-log_ms", "-pk")
NEWEST_PENDING = ("-queued_at", "-pk")

_LOCATION = re.compile(r"(?:(\d{1,5})\.)?(\d{1,18})-(\d{1,18})")
_KNOWN = {"channel", "type", "since", "from", "to", "state", SEARCH_VAR, PAGE_VAR}


class MessageChangeList(ChangeList):
    """A page of messages: pending rows first, then stored ones in the order of the log, the newest first."""

    viewer: Any
    heard: Hears | None = None  # by channel; None: all are
    ids: list[int]  # of all rows that are listed, on any page
    is_capped: bool  # are there more than can be listed?
    scanned_back_to: datetime | None = None  # where a scan stopped looking; None: it saw everything

    @property
    def counted(self) -> str:
        return f"{len(self.ids):,}"

    @property
    def scanned_rows(self) -> str:
        return f"{SCANNED:,}"

    @property
    def scanned_words(self) -> str:
        return "" if self.scanned_back_to is None else moment(self.scanned_back_to)

    @property
    def is_partial(self) -> bool:
        """May there be messages that this user does not hear?"""
        return self.heard is not None

    @property
    def without_search(self) -> str:
        return self.get_query_string(remove=[SEARCH_VAR])

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        """Only what our filters know: any other lookup in the address would be a scan without bounds."""
        found: dict[str, Any] = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name in _KNOWN}

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Message]:
        """The rows that are listed, and no others: what an action gets when all of them are chosen."""
        super().get_queryset(request, exclude_parameters)  # the filters take their parameters
        self.viewer, self.heard = request.user, hears(request)
        self.ids = self.find(LISTED + 1)
        self.is_capped = len(self.ids) > LISTED
        del self.ids[LISTED:]
        return self.root_queryset.filter(pk__in=self.ids)

    def get_results(self, request: HttpRequest) -> None:
        paginator = Paginator(self.ids, self.list_per_page)
        try:
            wanted = list(paginator.page(self.page_num).object_list)
        except InvalidPage:
            raise IncorrectLookupParameters from None
        brief = in_brief(self.root_queryset.filter(pk__in=wanted))
        rows = {row.pk: row for row in (seen_in_brief(brief, request.user) if redaction.is_on() else brief)}
        self.result_list = [rows[pk] for pk in wanted if pk in rows]
        self.result_count = paginator.count
        self.full_result_count = None
        self.show_full_result_count = False
        self.show_admin_actions = bool(self.ids)
        self.can_show_all = False
        self.multi_page = paginator.num_pages > 1
        self.paginator = paginator

    def find(self, limit: int) -> list[int]:
        """The keys of the first ``limit`` rows."""
        term = self.query.replace("\x00", "").strip()
        if found := self._exactly(term):
            return found
        filters = [spec for spec in self.filter_specs if isinstance(spec, MessageFilter)]
        channel = next((spec.value for spec in filters if isinstance(spec, ChannelFilter)), "")
        if channel and self.heard is not None and not self.heard(channel):
            return []
        of_many = self.heard is not None and not channel  # then channels are looked at row by row
        pending = self.root_queryset.filter(*(spec.pending() for spec in filters), log_ms=None)
        indexed = [spec.stored() for spec in filters if spec.indexed]
        stored = self.root_queryset.filter(*indexed, log_ms__isnull=False)
        scans = [spec.stored() for spec in filters if not spec.indexed and spec.value]
        if scans or term or of_many:
            stored = self._bounded(stored, "log_ms").filter(*scans)
        if term or of_many:
            pending = self._bounded(pending, "queued_at")
        if term:
            stored, pending = stored.filter(matching(term)), pending.filter(matching(term))
        found = self._first(pending.order_by(*NEWEST_PENDING), limit, term)
        if left := limit - len(found):
            newest = NEWEST_OF_CHANNEL if channel else NEWEST_STORED
            found += self._first(stored.order_by(*newest), left, term)
        return found

    def _first(self, rows: QuerySet[Message], limit: int, term: str) -> list[int]:
        """The first keys. The database has searched what is stored: of that, only what is seen may count."""
        if not (term and redaction.is_on()):
            return self._keys(rows, limit)
        if self.heard is not None:
            rows = rows.filter(pk__in=self._keys(rows, limit))
        words = [word.lower() for word in term.split()]
        seen = (
            (row.pk, rows_of.seen_by(row, self.viewer)[0]) for row in rows[:limit].iterator(chunk_size=200)
        )
        return [pk for pk, row in seen if all(_has(row, word) for word in words)]

    def _keys(self, rows: QuerySet[Message], limit: int) -> list[int]:
        """Of the first rows that the user may hear."""
        if self.heard is None:
            return list(rows.values_list("pk", flat=True)[:limit])
        return keys_heard(rows, "channel", self.heard, limit)

    def _exactly(self, term: str) -> list[int]:
        """A whole event id or a position is looked up in its index, in the whole table, whatever the filters say."""
        if not term or " " in term:
            return []
        found = self._keys(self.root_queryset.filter(event_id=term), LISTED)
        if not found and (place := _LOCATION.fullmatch(term)):
            at = {"log_ms": int(place[2]), "log_seq": int(place[3])}
            if place[1]:
                at["partition"] = int(place[1])
            found = self._keys(self.root_queryset.filter(**at), LISTED)
        return found

    def _bounded(self, rows: QuerySet[Message], field: str) -> QuerySet[Message]:
        """The newest ``SCANNED`` of these rows, by the indexed ``field``."""
        edge = rows.order_by(f"-{field}").values_list(field, flat=True)[SCANNED : SCANNED + 1].first()
        if edge is None:
            return rows
        self.scanned_back_to = (
            edge if isinstance(edge, datetime) else datetime.fromtimestamp(edge / 1000, UTC)
        )
        return rows.filter(**{f"{field}__gt": edge})


def matching(term: str) -> Q:
    """Rows with every word of ``term`` in payload (unless it is binary), key or event id, in any case."""
    found = Q()
    for word in term.split():
        payload = Q(payload__icontains=word)
        if not word.isascii():  # JSON may have it as an escape
            payload |= Q(payload__icontains=json.dumps(word)[1:-1])
        found &= (payload & Q(binary=False)) | Q(key__icontains=word) | Q(event_id__icontains=word)
    return found


def _has(row: Message, word: str) -> bool:
    """What :func:`matching` asks of the database, in Python."""
    payload = "" if row.binary else row.payload.lower()
    escaped = word if word.isascii() else json.dumps(word)[1:-1]
    return (
        any(word in text for text in (payload, row.key.lower(), row.event_id.lower())) or escaped in payload
    )


class ByteLength(Func):
    """How many bytes a text takes, in UTF-8."""

    function = "OCTET_LENGTH"
    output_field = IntegerField()

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="LENGTH(CAST(%(expressions)s AS BLOB))", **context)


def in_brief(rows: QuerySet[Message]) -> QuerySet[Message]:
    """Rows with the head and the size of their payload (``head``, ``stored_bytes``, ``tail``) instead of the whole."""
    return rows.defer("payload", "attributes").annotate(
        head=Left("payload", PREVIEWED), stored_bytes=ByteLength("payload"), tail=Right("payload", 2)
    )


def seen_in_brief(rows: QuerySet[Message], user: Any) -> list[Message]:
    """The same as this user may see it: what is redacted has to be read whole."""
    found = []
    for stored in rows.defer(None):
        row, _ = rows_of.seen_by(stored, user)
        vars(row)["head"] = row.payload[:PREVIEWED]
        found.append(row)
    return found
