"""Redis as a message broker for Django.

    publish()    ->  the log (a Redis Stream)  ->  rows (manage.py listen)
                                               ->  browsers (the live log page)
                                               ->  tasks for @subscribe functions (manage.py work)

The path of a message, file by file: ``publisher`` ``event`` ``sender`` ``wire`` ``log`` ``relay`` ``models``, and for
the page ``live.hub`` ``frames`` ``live.asgi``. What comes from outside enters through ``capture`` and ``foreign``;
what is published inside a transaction waits in ``outbox``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from messaging.errors import (
    BrokerError,
    BrokerFull,
    BrokerRefused,
    BrokerUnavailable,
    InvalidAttribute,
    InvalidChannel,
    InvalidMessage,
    MessageTooLarge,
    MessagingError,
    Misconfigured,
    Unencodable,
)

if TYPE_CHECKING:
    from messaging.event import Event
    from messaging.publisher import apublish, publish, publish_many
    from messaging.subscribers import subscribe

__all__ = [
    "BrokerError",
    "BrokerFull",
    "BrokerRefused",
    "BrokerUnavailable",
    "Event",
    "InvalidAttribute",
    "InvalidChannel",
    "InvalidMessage",
    "MessageTooLarge",
    "MessagingError",
    "Misconfigured",
    "Unencodable",
    "apublish",
    "publish",
    "publish_many",
    "subscribe",
]

_LAZY = {
    "Event": "messaging.event",
    "publish": "messaging.publisher",
    "apublish": "messaging.publisher",
    "publish_many": "messaging.publisher",
    "subscribe": "messaging.subscribers",
}


def __getattr__(name: str) -> Any:
    """Names that need the app registry are imported at their first use: this module is loaded before the models."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
