"""Tasks of a shop, which write down what they are called with."""

from typing import Any

from messaging.taskqueue import task

calls: list[tuple[Any, ...]] = []


@task
def send(mail: Any) -> str:
    calls.append(("send", mail))
    return "sent"


@task(order_key=lambda mail: mail["to"])
def send_in_turn(mail: Any) -> None:
    calls.append(("send_in_turn", mail))


@task(keep_results=0)
def report(day: str = "today", *, copies: int = 1) -> None:
    calls.append(("report", day, copies))


@task(max_attempts=3, backoff=0)
def fail(times: int) -> int:
    calls.append(("fail", times))
    if len([call for call in calls if call[0] == "fail"]) <= times:
        raise OSError("not yet")
    return times


@task
async def acall(value: Any) -> Any:
    calls.append(("acall", value))
    return value


def no_task() -> None:
    """Just a function."""
