"""What ``--where`` means, case by case."""

import pytest

from messaging.decoder import NotAnEvent
from messaging.event import new_event
from messaging.terminal.conditions import Condition

EVENT = new_event(
    "orders",
    {"n": 1, "yes": True, "no": None, "s": "1", "list": [{"sku": "a"}], "o": {"k": [1, 2]}, "b": "beta"},
    source="/shop",
    key="7",
)


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("data.n=1", True),
        ("data.n=1.0", True),
        ("data.n=01", False),
        ("data.s=1", True),
        ("data.yes=true", True),
        ("data.yes=1", False),
        ("data.n=true", False),
        ("data.no=null", True),
        ("data.missing=null", False),
        ("data.missing!=1", True),
        ("data.missing<1", False),
        ("data.list.0.sku=a", True),
        ("data.list.1.sku=a", False),
        ('data.o={"k":[1,2]}', True),
        ("data.b>alpha", True),
        ("data.b<5", False),
        ("data.n>0", True),
        ("data.n<=0.5", False),
        ("data.no>0", False),
        ("key=7", True),
        ("channel=orders", True),
        ("headers.x=1", False),
        ("data.b=", False),
    ],
)
def test_a_condition(text: str, met: bool) -> None:
    assert Condition.of(text).met_by(EVENT) is met


def test_bytes_and_entries_that_cannot_be_read_meet_nothing() -> None:
    assert not Condition.of("data.n=1").met_by(new_event("c", b"\xff", source="/"))
    assert not Condition.of("channel!=x").met_by(NotAnEvent("broken"))


@pytest.mark.parametrize("text", ["", "data", "=1", "headers=1", "headers.a.b=1", "date=1", "channel.x=1"])
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(ValueError, match=r"PATH=VALUE|neither"):
        Condition.of(text)
