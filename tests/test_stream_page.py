"""messaging/live/README.md names every event, fact, reason and parameter of the stream, and none that is not there."""

import re
from datetime import UTC, datetime
from pathlib import Path

from messaging import continuity
from messaging.frames import Place
from messaging.live import losses, notices, query
from messaging.live.filters import Filter
from messaging.live.pages import Gap
from messaging.models import Gap as StoredGap
from tests.sse import parse

LIVE = Path(losses.__file__).parent
PAGE = (LIVE / "README.md").read_text()
HERE = (Place("e" * 16, 1, 0),)


def rows(heading: str) -> dict[str, str]:
    """The table with this heading: its first column, and the rest of each row."""
    table = PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| `(\w+)`(?: \(unnamed\))? \|(.*)\|$", table, re.MULTILINE))


def test_parameters() -> None:
    asked = re.findall(r"""GET\.get(?:list)?\("(\w+)\"""", Path(query.__file__).read_text())
    assert set(rows("parameter")) == set(asked)


def test_events() -> None:
    made = {
        name for file in LIVE.glob("*.py") for name in re.findall(r"""named\("(\w+)\"""", file.read_text())
    }
    assert set(rows("event")) == made | {"message"}


def test_what_events_say() -> None:
    gap = StoredGap(pk=1, reason="trimmed", from_position="1-0", noticed_at=datetime.now(UTC))
    made = [
        notices.hello(HERE, Filter.of(["c"]), retention={"entries": 1, "oldest": 1, "cap": 1}, resumed=False),
        notices.live(HERE),
        notices.position(HERE),
        notices.gap(Gap(None, HERE, "trimmed")),
        losses.loss_of(gap).frame,
        notices.source(7.5),
        notices.bye("overload", limit="user"),
    ]
    for event in parse(b"".join(made)):
        told = rows("event")[event.name]
        assert {fact for fact in event.data if f"`{fact}`" not in told} == set(), event.name
        assert bool(event.last_id) == ("yes" in told.partition("|")[0]) or event.name in (
            "loss",
            "source",
            "bye",
        )


def test_reasons() -> None:
    told = set(re.findall(r"`([a-z ]+)`", rows("event")["loss"].partition("(")[2].partition(")")[0]))
    assert told == set(continuity.REASONS)
