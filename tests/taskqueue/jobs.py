"""Tasks that the tests of the backend enqueue and run."""

from asyncio import CancelledError
from collections.abc import Iterator, Mapping
from typing import Any

from messaging.errors import GiveUp, RetryAfter
from messaging.taskqueue import Exponential, task
from messaging.taskqueue.seam import TaskContext

ran: list[Any] = []


@task
def add(a: int, b: int = 0) -> int:
    return a + b


@task
async def double(a: int) -> int:
    return 2 * a


@task(takes_context=True)
def about(context: TaskContext, *, word: str = "") -> Any:
    return [context.task_result.id, context.attempt, word]


@task
def note(what: Any) -> None:
    ran.append(what)


@task(max_attempts=3, backoff=0)
def give(kind: str) -> Any:
    """Something that JSON cannot carry."""
    ran.append(kind)
    return {
        "function": give.func,
        "number": float("nan"),
        "keys": {1: 2},
        "long": "x" * 300_000,
        "broken": Broken(),
    }[kind]


@task(max_attempts=3, backoff=0)
async def agive(kind: str) -> Any:
    return give.func(kind)


class Broken(Mapping[str, int]):
    """Its own code fails."""

    def __getitem__(self, key: str) -> int:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        raise OSError("the database is away")

    def __len__(self) -> int:
        return 1


@task(max_attempts=3, backoff=0)
def fail(how: str = "ValueError") -> None:
    raise {
        "ValueError": ValueError("no such thing"),
        "LookupError": LookupError("gone"),
        "KeyError": KeyError("gone"),
        "SystemExit": SystemExit(3),
        "KeyboardInterrupt": KeyboardInterrupt(),
        "GiveUp": GiveUp("hopeless"),
        "RetryAfter": RetryAfter(7, "busy"),
        "long": ValueError("x" * 100_000),
        "lines": OSError("first \x1b[31mred\nsecond"),
    }[how]


@task(backoff=0)
def stopped() -> None:
    raise CancelledError


@task(max_attempts=3, backoff=2)
def again_after(seconds: Any) -> None:
    raise RetryAfter(float(seconds) if seconds in ("nan", "inf", "-inf") else seconds)


def seven(error: BaseException, result: Any) -> float:
    return 7.0 + result.attempts + len(str(error))


def broken(error: BaseException, result: Any) -> float:
    raise RuntimeError("no idea")


@task(unique=True)
def once(number: int) -> int:
    return number


@task(unique=lambda number, **_: number % 2, unique_for=3600)
def even_or_odd(number: int, more: int = 0) -> int:
    return number


@task(
    max_attempts=4,
    backoff=Exponential(first=1.5, most=90.0),
    timeout=30,
    retry_on=LookupError,
    give_up_on=KeyError,
    limit=2,
    limit_key=lambda customer: customer,
    order_key="orders",
    keep_results=60,
    keep_failed=120,
)
def careful(customer: str) -> str:
    return customer


not_a_task = print
