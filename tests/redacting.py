"""Functions for ``REDACT``, as a site would write them."""

from typing import Any

from messaging import Event
from messaging.redaction import with_data


def by_rights(event: Event, user: Any) -> Event:
    """Salaries are for those who may publish."""
    if event.channel == "staff" and not user.has_perm("messaging.publish_message"):
        return with_data(event, {**event.data, "salary": "secret"})
    return event


def for_all(event: Event) -> Event:
    if event.channel == "broken":
        raise LookupError("no such thing")
    return with_data(event, "hidden") if event.channel == "texts" else event
