"""What is asked for in the sidebar -> conditions on stored and on pending rows.

Stored rows and pending rows (which have no position yet) are found by different indexes. So a filter gives one
condition for each, and the change list asks for the two kinds one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import ModelAdmin
from django.contrib.admin.views.main import ChangeList
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import FloatField, Func, Model, Q, QuerySet, Value
from django.db.models.lookups import GreaterThanOrEqual
from django.db.models.sql.compiler import SQLCompiler
from django.http import HttpRequest
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.admin.hearing import LOOKED_AT, Hears, hears
from messaging.conf import conf
from messaging.models import Channel, Message

LATE_SECONDS = 5.0  # stored so long after its time, a message counts as late
LISTED_CHANNELS = 12  # more than these are searched for instead of listed
SUGGESTIONS = 500

NOTHING = Q(pk__in=[])


class MessageFilter(admin.ListFilter):
    """Takes its parameters from the query string; ``indexed`` says whether an index answers its condition."""

    parameters: tuple[str, ...] = ()
    indexed = True

    def __init__(
        self, request: HttpRequest, params: dict[str, Any], model: type[Model], model_admin: ModelAdmin[Any]
    ) -> None:
        super().__init__(request, params, model, model_admin)
        for name in self.parameters:
            given = params.pop(name, None)
            self.used_parameters[name] = given[-1].replace("\x00", "").strip() if given else ""

    @property
    def value(self) -> str:
        """Of its first parameter."""
        return str(self.used_parameters[self.parameters[0]])

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(self.parameters)

    def stored(self) -> Q:
        """The condition on rows that have a position."""
        return Q()

    def pending(self) -> Q:
        """The condition on rows that have none."""
        return Q()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> None:
        """Nothing: the change list asks for :meth:`stored` and :meth:`pending`."""

    def link(self, changelist: ChangeList, display: Any, **values: str) -> dict[str, Any]:
        """One choice: a link that sets these parameters and clears the others of this filter."""
        wanted = dict.fromkeys(self.parameters, "") | values
        return {
            "selected": wanted == self.used_parameters,
            "query_string": changelist.get_query_string(
                values, [n for n in self.parameters if n not in values]
            ),
            "display": display,
        }

    def hidden(self, changelist: ChangeList) -> list[tuple[str, str]]:
        """The other parameters, which a form of this filter has to carry along."""
        return [(name, value) for name, value in changelist.params.items() if name not in self.parameters]


class ChannelFilter(MessageFilter):
    title = gettext_lazy("channel")
    parameters = ("channel",)
    template = "admin/messaging/message/filter_channel.html"

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        self.heard = hears(request)

    def stored(self) -> Q:
        return Q(channel=self.value) if self.value else Q()

    pending = stored

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        names = channel_names(LISTED_CHANNELS + 1, self.heard)
        many = len(names) > LISTED_CHANNELS
        yield {
            "hidden": self.hidden(changelist),
            "value": self.value,
            "search": many,
            "names": channel_names(SUGGESTIONS, self.heard) if many else [],
        }
        yield self.link(changelist, _("All"))
        for name in [self.value] if many and self.value else [] if many else names:
            yield self.link(changelist, name, channel=name)


class TypeFilter(MessageFilter):
    title = gettext_lazy("type")
    parameters = ("type",)
    template = "admin/messaging/message/filter_type.html"
    indexed = False

    def stored(self) -> Q:
        return Q(type=self.value) if self.value else Q()

    pending = stored

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        yield {"hidden": self.hidden(changelist), "value": self.value}
        if self.value:
            yield self.link(changelist, _("All"))
            yield self.link(changelist, self.value, type=self.value)


class TimeFilter(MessageFilter):
    """When Redis took the message; for pending rows, when they were written."""

    title = gettext_lazy("time published")
    parameters = ("since", "from", "to")
    template = "admin/messaging/message/filter_time.html"
    spans = (
        ("15m", gettext_lazy("Last 15 minutes"), timedelta(minutes=15)),
        ("1h", gettext_lazy("Last hour"), timedelta(hours=1)),
        ("24h", gettext_lazy("Last 24 hours"), timedelta(hours=24)),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.errors: list[str] = []
        self.begin, self.end = self._range(timezone.now())

    def stored(self) -> Q:
        return _between("log_ms", self.begin and _ms(self.begin), self.end and _ms(self.end))

    def pending(self) -> Q:
        return _between("queued_at", self.begin, self.end)

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        yield {
            "hidden": self.hidden(changelist),
            "from": self.used_parameters["from"],
            "to": self.used_parameters["to"],
            "errors": self.errors,
            "zone": timezone.get_current_timezone_name(),
        }
        yield self.link(changelist, _("Any time"))
        for name, label, _span in self.spans:
            yield self.link(changelist, label, since=name)
        yield self.link(changelist, _("Today"), since="today")

    def _range(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        since = self.used_parameters["since"]
        if since == "today":
            return timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0), None
        for name, _label, length in self.spans:
            if since == name:
                return now - length, None
        return self._moment("from"), self._moment("to")

    def _moment(self, name: str) -> datetime | None:
        """What a browser's field for date and time sends: no zone, the site's is meant."""
        if not (text := str(self.used_parameters[name])):
            return None
        try:
            given = datetime.fromisoformat(text)
            aware = given if given.tzinfo else timezone.make_aware(given)
            _ms(aware)
        except (ValueError, OverflowError):
            self.errors.append(_("This is not a date and time: %(text)s") % {"text": text[:40]})
            return None
        return aware


class StateFilter(MessageFilter):
    title = gettext_lazy("state")
    parameters = ("state",)
    states = (
        ("pending", gettext_lazy("Pending: waits in the outbox")),
        ("stored", gettext_lazy("Stored")),
        (
            "late",
            format_lazy(gettext_lazy("Late: stored over {seconds:g} s after its time"), seconds=LATE_SECONDS),
        ),
        ("overtaken", gettext_lazy("Out of order: sent again, behind newer ones of its channel")),
    )

    @property
    def indexed(self) -> bool:  # type: ignore[override]
        return self.value not in ("late", "overtaken")

    def stored(self) -> Q:
        if self.value == "pending":
            return NOTHING
        if self.value == "overtaken":
            return Q(late=True)
        return is_late() if self.value == "late" else Q()

    def pending(self) -> Q:
        return NOTHING if self.value in ("stored", "late", "overtaken") else Q()

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        yield self.link(changelist, _("All"))
        for name, label in self.states:
            yield self.link(changelist, label, state=name)


class SecondsBetween(Func):
    """From one time to another, computed by the database: SQLite would ask Python for each row."""

    template = "EXTRACT(EPOCH FROM %(expressions)s)"
    arity = 2
    output_field = FloatField()

    def __init__(self, begin: str, end: str) -> None:
        super().__init__(end, begin, arg_joiner=" - ")

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        days = "julianday(%(expressions)s)"
        return self.as_sql(
            compiler, connection, template=f"({days}) * 86400.0", arg_joiner=") - julianday(", **context
        )


def is_late() -> Q:
    """The condition for rows that were stored ``LATE_SECONDS`` or more after the time that their publisher gave."""
    return Q(GreaterThanOrEqual(SecondsBetween("time", "stored_at"), Value(LATE_SECONDS)))


def channel_names(limit: int, heard: Hears | None) -> list[str]:
    """Names of channels that have been seen and may be heard, in their order."""
    names = Channel.objects.using(conf.DATABASE).order_by("name").values_list("name", flat=True)
    if heard is None:
        return list(names[:limit])
    return list(islice(filter(heard, names[:LOOKED_AT]), limit))


def _between(field: str, begin: Any, end: Any) -> Q:
    found = Q()
    if begin is not None:
        found &= Q(**{f"{field}__gte": begin})
    if end is not None:
        found &= Q(**{f"{field}__lt": end})
    return found


def _ms(time: datetime) -> int:
    return int(time.astimezone(UTC).timestamp() * 1000)
