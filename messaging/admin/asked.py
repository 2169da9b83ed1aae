"""An address or a confirmed form -> which dead letters are meant: queues and a filter."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _

from messaging import redaction
from messaging.taskqueue.dead import DeadFilter, Search
from messaging.taskqueue.queue import Queue as TaskQueue
from messaging.terminal.moments import position_of

SCANNED = 10_000  # records that a filter looks at for a page
SCANNED_WHOLE = 2_000  # where it looks into arguments and tracebacks


class Asked:
    """What the address, or a confirmed form, asks for."""

    def __init__(self, data: QueryDict, every: Sequence[TaskQueue]) -> None:
        place = (data.get("backend", ""), data.get("queue", ""))
        if given := data.get("place", ""):
            place = tuple(map(unquote, given.split("/", 1)))  # type: ignore[assignment]
        self.problems: dict[str, str] = {}  # field -> what is wrong with it: then nothing is meant
        self.queues = (
            [each for each in every if (each.alias, each.name) == place] if any(place) else list(every)
        )
        if not self.queues and any(place):
            self.problems["place"] = _("There is no such queue.")
        self.values = {name: data.get(name, "").strip()[:500] for name in ("task", "error", "text", "since")}
        self.values["place"] = place_of(self.queues[0]) if any(place) and self.queues else ""
        since_ms = 0
        if self.values["since"]:
            try:
                since_ms = position_of(self.values["since"], now=timezone.localtime()).ms + 1
            except ValueError as error:
                self.problems["since"] = str(error)
        until = data.get("until", "")
        self.filter = DeadFilter(
            task=self.values["task"],
            error=self.values["error"],
            text=self.values["text"],
            sees_arguments=not redaction.is_on(),
            since_ms=since_ms,
            until_ms=int(until) if until.isdecimal() and len(until) < 16 else 0,
        )

    @property
    def given(self) -> dict[str, str]:
        return {name: value for name, value in self.values.items() if value}

    @property
    def fixed(self) -> dict[str, str]:
        """The same with a time that does not move on: "since an hour ago" when the question was asked."""
        if not self.filter.since_ms:
            return self.given
        return self.given | {"since": datetime.fromtimestamp(self.filter.since_ms / 1000, UTC).isoformat()}

    def search(self, most: int | None = None) -> Search:
        return Search(self.queues, self.filter, most=most or (SCANNED_WHOLE if self.filter.text else SCANNED))


def place_of(queue: Any) -> str:
    """A queue in an address."""
    return f"{quote(queue.alias, safe='')}/{quote(queue.name, safe='')}"
