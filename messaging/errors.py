"""What can go wrong -> one tree of exceptions, each naming the value that caused it.

MessagingError
├── InvalidMessage (ValueError)      the caller's input: fix the call
│   ├── InvalidChannel                 the channel name breaks the rules
│   ├── InvalidAttribute               a type, key, id or header breaks the rules
│   ├── Unencodable                    the data has no JSON form
│   └── MessageTooLarge                the encoded event exceeds MAX_EVENT_BYTES
├── BrokerError                      the other side: try again later
│   ├── BrokerUnavailable              Redis did not answer within the budget, or the breaker is open
│   ├── BrokerFull                     Redis is out of memory, or the log is at its cap
│   ├── NotDurable                     tasks are enqueued, and not confirmed to be as safe as their queue asks for
│   └── BrokerRefused                  Redis answered with an error (ACL, READONLY, WRONGTYPE ...)
├── InvalidCall (ValueError)         a task cannot be enqueued as it was called: fix the call
│   ├── InvalidOption                  an option of a task that cannot work
│   ├── WrongArguments (TypeError)     more, fewer or other arguments than the task's function takes
│   ├── UnsupportedValue (TypeError)   an argument or a return value that JSON cannot carry unchanged
│   └── TaskTooLarge                   arguments or a return value larger than MAX_BYTES
├── TaskSays                         what a task raises to say how it goes on
│   ├── RetryAfter                     again after so many seconds
│   └── GiveUp                         never again: to the dead letters
│       └── PayloadRefused               an event's payload is not of the type that its subscriber asks for
├── TaskEnded                        why a task ended otherwise than by its own doing
│   ├── TaskTimeout (TimeoutError)     an attempt took longer than its timeout
│   ├── WorkerLost                     too many workers died with it
│   ├── TaskCancelled                  somebody cancelled it
│   └── TaskExpired                    it was not begun in time
├── TaskUnknown                      a job names a task that this process does not have
├── TaskUnreadable                   a job whose body makes no sense
└── Misconfigured                    settings that cannot work
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from messaging.event import Event

_SHOWN = 120


def shown(value: object) -> str:
    """``repr(value)`` cut to a length that suits a sentence in a log."""
    try:
        text = repr(value)
    except Exception as error:  # a broken __repr__ must not hide the error being reported
        text = f"<{type(value).__name__}: repr failed with {type(error).__name__}>"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text):,} characters)"


class MessagingError(Exception):
    """Base of every exception raised by this package."""


class InvalidMessage(MessagingError, ValueError):
    """The caller's input cannot be published; trying again does not help."""


class InvalidChannel(InvalidMessage):
    """A channel name that breaks the rules of :func:`messaging.attributes.check_channel`."""


class InvalidAttribute(InvalidMessage):
    """An id, type, key, time or header that cannot be a CloudEvents attribute."""


class Unencodable(InvalidMessage):
    """Data that has no JSON form (NaN, a lone surrogate, an unknown class ...)."""


class MessageTooLarge(InvalidMessage):
    """The encoded event is larger than ``MAX_EVENT_BYTES``."""

    def __init__(self, size: int, limit: int, channel: str) -> None:
        super().__init__(f"event for channel {shown(channel)} takes {size:,} bytes, the limit is {limit:,}")
        self.size = size
        self.limit = limit


class BrokerError(MessagingError):
    """Redis could not take the message; trying again may help.

    After ``publish_many`` the list ``published`` holds the events that are in the log all the same, after
    ``enqueue_many`` ``enqueued`` the results of the tasks that are in their queues.
    """

    published: Sequence[Event] = ()
    enqueued: Sequence[Any] = ()


class BrokerUnavailable(BrokerError):
    """No answer within the budget, or the circuit breaker is open.

    ``maybe_sent`` is true when the command left this process and only the reply is missing: the message may or may
    not be in the log. Sending the same event again is safe, since ``(source, id)`` is stored once.
    """

    def __init__(self, message: str, *, maybe_sent: bool = False) -> None:
        super().__init__(message)
        self.maybe_sent = maybe_sent


class BrokerFull(BrokerError):
    """Redis is out of memory, or the log has reached ``MAX_LOG_ENTRIES`` entries that are not trimmed yet."""


class BrokerRefused(BrokerError):
    """Redis answered with an error: missing rights, a read-only replica, a key of the wrong type."""


class NotDurable(BrokerError):
    """Tasks are in their queue, and will run, but in ``DURABILITY_SECONDS`` the server did not confirm that they are as
    safe as ``DURABILITY`` asks for: a crash or a fail-over may lose them. Enqueueing them again would run them twice.

    ``enqueued`` has the results of all, of those that are safe too; ``queues`` the queues whose level was missed.
    """

    def __init__(self, message: str, *, queues: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.queues = queues


class InvalidCall(MessagingError, ValueError):
    """A task cannot be enqueued as it was called; trying again does not help."""


class InvalidOption(InvalidCall):
    """An option of a task that cannot work, with its name and value."""


class WrongArguments(InvalidCall, TypeError):
    """More, fewer or other arguments than the task's function takes; the message names the task and what is wrong."""


class UnsupportedValue(InvalidCall, TypeError):
    """An argument or a return value that would not be the same after its way through JSON; the message names it."""


class TaskTooLarge(InvalidCall):
    """A task's arguments or its return value are larger than the backend's ``MAX_BYTES``."""

    def __init__(self, what: str, size: int, limit: int, largest: str) -> None:
        super().__init__(f"{what} take {size:,} bytes, the limit is {limit:,}; the largest part is {largest}")
        self.size = size
        self.limit = limit


class TaskSays(MessagingError):
    """Base of what a task raises to say how it goes on, whatever its options say."""


class RetryAfter(TaskSays):
    """Run me again after so many ``seconds``; counts as an attempt, so ``max_attempts`` still ends it."""

    def __init__(self, seconds: float, reason: str = "") -> None:
        super().__init__(seconds, reason)
        self.seconds = seconds

    def __str__(self) -> str:
        return f"again after {self.args[0]:g} s" + (f": {self.args[1]}" if self.args[1] else "")


class GiveUp(TaskSays):
    """Do not run me again: to the dead letters at once."""


class PayloadRefused(GiveUp):
    """An event's payload is not of the type that its subscriber asks for; names the place in it that is wrong."""


class TaskEnded(MessagingError):
    """Base of the reasons in ``TaskResult.errors`` that no code of the task raised."""


class TaskTimeout(TaskEnded, TimeoutError):
    """An attempt took longer than the task's ``timeout``."""


class WorkerLost(TaskEnded):
    """More workers died while they ran it than ``max_crashes`` forgives."""


class TaskCancelled(TaskEnded):
    """Somebody cancelled it."""


class TaskExpired(TaskEnded):
    """It was not begun before its ``expires``."""


class TaskUnknown(MessagingError):
    """A job names a task that this process cannot import: of another release, perhaps."""


class TaskUnreadable(MessagingError):
    """A job whose body is not that of a task."""


class Misconfigured(MessagingError):
    """Settings that cannot work, with the offending key and value."""
