"""``manage.py tail``: what it shows, when it ends, what it survives."""

import asyncio
import json
import signal
from pathlib import Path

import pytest

from messaging import Event, keys, publish, publish_many
from tests.commands import Ran, run
from tests.conftest import Manage
from tests.servers import TestServer
from tests.shells import shell

pytestmark = pytest.mark.usefixtures("broker")


def shown(*arguments: str) -> list[object]:
    """The data of what it prints of the log as it stands."""
    ran = run("tail", "--until-end", *arguments)
    assert (ran.code, ran.err) == (0, "")
    return [each["data"] for each in ran.objects]


# -- what it shows


def test_the_whole_log_then_the_end() -> None:
    publish_many(("numbers", number) for number in range(1200))
    assert shown() == list(range(1200))


def test_patterns_choose_channels() -> None:
    publish_many([("orders.created", 1), ("orders.paid", 2), ("payments.paid", 3), ("updates", 4)])
    assert shown("orders.*", "up*") == [1, 2, 4]
    assert shown("orders.paid") == [2]
    assert shown("nothing.*") == []


def test_the_last_ones_that_match() -> None:
    publish_many((("odd", "even")[number % 2 == 0], number) for number in range(20))
    assert shown("odd", "--last", "3") == [15, 17, 19]
    assert shown("--last", "2") == [18, 19]
    assert shown("--last", "0") == shown("--new") == []
    assert shown("--last", "all", "even") == list(range(0, 20, 2))


def test_since_a_moment_or_a_position() -> None:
    first = publish("numbers", 1)
    publish("numbers", 2)
    assert shown("--since", "1h") == [1, 2]
    assert shown("--since", str(first.location)) == [2]
    assert shown("--since", "2000-01-01") == [1, 2]
    assert shown("--since", "2100-01-01") == []


def test_grep_and_exclude_look_at_channel_type_and_payload() -> None:
    publish("orders.created", "tea for two", type="order.v2")
    publish("orders.created", {"text": "coffee"})
    publish("updates", "no tea")
    assert shown("--grep", "tea") == ["tea for two", "no tea"]
    assert shown("--grep", "order", "--grep", "tea") == ["tea for two"]
    assert shown("--exclude", r"v\d", "--exclude", "updates") == [{"text": "coffee"}]


def test_json_lines_say_where_and_what() -> None:
    event = publish("orders.created", {"id": 1}, key="7")
    (line,) = run("tail", "--until-end").objects
    assert line["at"] == event.location
    assert (line["channel"], line["type"], line["id"]) == ("orders.created", "orders.created", event.id)
    assert (line["source"], line["key"], line["data"]) == ("/broker_site", "7", {"id": 1})


def test_lines_for_people_in_a_pipe_are_not_cut() -> None:
    publish("orders.created", "x" * 500)
    ran = run("tail", "--until-end", "--lines")
    assert f"orders.created  {'x' * 500}\n" in ran.out
    assert "\x1b" not in ran.out
    assert "\x1b[38;5;" in run("tail", "--until-end", "--lines", "--force-color").out


def test_raw_is_the_payload() -> None:
    publish("a", "tea")
    publish("a", {"id": 1})
    assert run("tail", "--until-end", "--raw").out == 'tea\n{"id":1}\n'


def test_an_entry_that_cannot_be_read_is_shown_as_such(broker: TestServer) -> None:
    publish("orders.created", 1)
    broker.client().xadd("messaging:{0}:log", {"foo": "bar"})
    broker.client().xadd("messaging:{0}:log", {"e": "{no json"})
    publish("orders.created", 2)
    lines = run("tail", "--until-end").objects
    assert [line.get("data") for line in lines] == [1, None, None, 2]
    assert all("error" in line for line in lines[1:3])
    assert "unreadable entry" in run("tail", "--until-end", "--lines").out


def test_an_entry_that_cannot_be_read_belongs_to_no_channel(broker: TestServer) -> None:
    def unreadable() -> None:
        broker.client().xadd("messaging:{0}:log", {"e": "{no json"})

    publish("orders.created", 1)
    unreadable()
    publish("orders.created", 2)
    unreadable()
    publish("updates", 3)
    unreadable()
    passed = "tail: {} passed over: tail without PATTERN and --where shows them\n"
    for arguments, out, code, over in (
        (("orders.*",), "1\n2\n", 0, 3),
        (("orders.*", "--count", "2"), "1\n2\n", 0, 1),
        (("orders.*", "--last", "2"), "1\n2\n", 0, 3),
        (("nothing", "--count", "1"), "", 1, 3),
        (("updates", "--last", "1", "--grep", "json|3"), "3\n", 0, 1),
        (("updates", "--grep", "3"), "3\n", 0, 0),
        (("--where", "data=2"), "2\n", 0, 3),
    ):
        ran = run("tail", "--until-end", "--raw", *arguments)
        assert (ran.code, ran.out) == (code, out), arguments
        entries = "1 entry that is no event" if over == 1 else f"{over} entries that are no event"
        assert ran.err == (passed.format(entries) if over else ""), arguments


def test_what_is_no_event_does_not_end_the_wait_for_one(manage: Manage, broker: TestServer) -> None:
    tail = manage("tail", "orders.created", "--since", "0-0", "--count", "1", "--raw")
    broker.client().xadd("messaging:{0}:log", {"e": "{no json"})
    publish("orders.created", "tea")
    assert tail.wait() == 0
    assert tail.stdout == "tea\n"
    assert "1 entry that is no event passed over" in tail.stderr


def test_where_looks_into_messages() -> None:
    publish("orders", {"id": 1, "user": {"id": 42}, "total": 9.9}, key="a")
    publish("orders", {"id": 2, "user": {"id": 43}, "total": 100}, headers={"tenant": "x"})
    publish("plain", "text")

    def found(*conditions: str) -> list[object]:
        arguments = [word for each in conditions for word in ("--where", each)]
        ran = run("tail", "--last", "all", "--until-end", *arguments)
        assert ran.code == 0
        return [line["data"]["id"] if line["channel"] == "orders" else line["data"] for line in ran.objects]

    assert found("data.user.id=42") == [1]
    assert found("data.total>=9.9", "data.total<100") == [1]
    assert found("data.user.id!=42") == [2, "text"]
    assert found("key=a") == found("data.id=1") == [1]
    assert found("headers.tenant=x") == [2]
    assert found("data=text") == ["text"]
    assert found("channel!=plain", "data.id>1") == [2]
    assert found("data.user.id=42", "data.user.id=43") == []


# -- when it ends


def test_count_ends_it() -> None:
    publish_many(("numbers", number) for number in range(9))
    ran = run("tail", "--last", "all", "--count", "3")
    assert (ran.code, [line["data"] for line in ran.objects]) == (0, [0, 1, 2])


def test_a_timeout_is_an_error_only_when_a_count_was_asked_for() -> None:
    publish("numbers", 1)
    assert run("tail", "--timeout", "0.1").code == 0
    assert run("tail", "--timeout", "0.1", "--last", "1", "--count", "2").code == 1
    assert run("tail", "--until-end", "--count", "2").code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--grep", "("),
        ("--where", "data.x"),
        ("--where", "nothing=1"),
        ("--since", "yesterday"),
        ("--since", f"{2**64}-0"),  # Redis refuses it for ever
        ("--since", f"0-{2**64}"),
        ("--last", "-1"),
        ("--count", "0"),
        ("--timeout", "nan"),
        ("--timeout", "-1"),
        ("--timeout", "soon"),
        ("--last", "1", "--since", "1h"),
        ("--json", "--raw"),
    ],
)
def test_usage_errors(arguments: tuple[str, ...]) -> None:
    ran = run("tail", *arguments)
    assert ran.code == 2
    assert "error: " in ran.err


# -- whom it calls

heard: list[object] = []


def hear(event: Event) -> None:
    heard.append(event.data)
    if event.data == "bad":
        raise ValueError("not like this")


async def hear_later(event: Event) -> None:
    await asyncio.sleep(0)
    heard.append([event.channel, event.data])


def called(name: str, *arguments: str) -> tuple[Ran, list[object]]:
    heard.clear()
    ran = run("tail", "--until-end", "--exec", f"{__name__}:{name}", *arguments)
    return ran, heard.copy()


@pytest.mark.django_db  # it looks after connections
def test_a_function_is_called_with_each_event() -> None:
    publish_many([("orders.created", 1), ("updates", 2), ("orders.paid", {"id": 3})])
    ran, calls = called("hear", "orders.*")
    assert (ran.code, ran.out, ran.err, calls) == (0, "", "", [1, {"id": 3}])
    ran, calls = called("hear_later", "--last", "1")
    assert (ran.code, calls) == (0, [["orders.paid", {"id": 3}]])
    assert called("hear", "--count", "1")[1] == [1]


@pytest.mark.django_db
def test_a_call_that_fails_is_told_and_the_next_one_is_made(broker: TestServer) -> None:
    bad = publish("orders.created", "bad")
    broker.client().xadd(keys.log(0), {"e": "nothing"})
    publish("orders.created", "good")
    ran, calls = called("hear")
    assert (ran.code, calls) == (1, ["bad", "good"])
    assert f"the call for {bad.location} failed:\nTraceback" in ran.err
    assert "ValueError: not like this\n" in ran.err
    assert "is no event, the function was not called: " in ran.err
    assert ran.err.endswith("2 calls failed.\n")


@pytest.mark.parametrize("path", ["hear", "nowhere:hear", f"{__name__}:nobody", f"{__name__}:heard"])
def test_what_cannot_be_called_is_a_usage_error(path: str) -> None:
    ran = run("tail", "--exec", path)
    assert (ran.code, repr(path) in ran.err) == (2, True)


# -- as a process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_shows_a_message_at_once_and_ends_at_a_signal(manage: Manage, number: int) -> None:
    tail = manage("tail", "--last", "all")
    publish("orders.created", {"id": 1})
    tail.wait_for(r'"data":\{"id":1\}')
    publish("orders.created", {"id": 2})
    tail.wait_for(r'"data":\{"id":2\}')
    tail.signal(number)
    assert tail.wait() == 0
    assert tail.stderr == ""
    assert [json.loads(line)["data"]["id"] for line in tail.stdout.splitlines()] == [1, 2]


def test_a_person_sees_colours_and_the_last_ten(manage: Manage) -> None:
    publish_many(("numbers", f"number {number}") for number in range(12))
    tail = manage("tail", tty=True, env={"TERM": "xterm-256color", "COLUMNS": "60"})
    tail.wait_for("number 11")
    publish("numbers", "\x1b[2J" + "long " * 50)
    cut = tail.wait_for("^.*x1b.*$")[0]
    assert "number 1\x1b" not in tail.output
    assert tail.output.count("number ") == 10
    assert "\x1b[38;5;" in tail.output
    assert cut.rstrip().endswith("…")
    assert tail.terminate() == 0


def test_it_survives_a_restart_and_goes_on_where_it_was(manage: Manage, broker: TestServer) -> None:
    tail = manage("tail", "--last", "all")
    publish("numbers", 1)
    tail.wait_for('"data":1}')
    broker.stop()
    tail.wait_for("Redis is away")
    broker.start()
    publish("numbers", 2)
    tail.wait_for('"data":2}')
    assert tail.terminate() == 0
    assert [json.loads(line)["data"] for line in tail.stdout.splitlines()] == [1, 2]
    assert len(tail.stderr.splitlines()) == 2, tail.stderr  # away, back


def test_a_log_born_anew_is_a_gap_in_words(manage: Manage, broker: TestServer) -> None:
    tail = manage("tail", "--last", "all")
    publish("numbers", 1)
    tail.wait_for('"data":1}')
    broker.client().flushall()
    publish("numbers", 2)
    tail.wait_for('"data":2}')
    tail.wait_for("gap: Redis lost its log")
    assert tail.terminate() == 0


def test_it_waits_for_a_redis_that_is_not_there_yet(manage: Manage, broker: TestServer) -> None:
    broker.stop()
    tail = manage("tail", "--last", "all", "--count", "1")
    tail.wait_for("Redis is away")
    broker.start()
    publish("numbers", 1)
    tail.wait_for('"data":1}')
    assert tail.wait() == 0


def test_a_reader_that_has_seen_enough_ends_it_without_a_word(
    broker: TestServer, short_directory: Path
) -> None:
    publish_many(("numbers", number) for number in range(5000))
    piped = shell("manage.py tail --until-end | head -n 1", broker, short_directory)
    assert (piped.returncode, piped.stderr) == (0, "")
    assert json.loads(piped.stdout)["data"] == 0


def test_a_full_disk_is_a_sentence(broker: TestServer, short_directory: Path) -> None:
    publish("numbers", 1)
    ran = shell("manage.py tail --until-end > /dev/full", broker, short_directory)
    assert ran.returncode == 1
    assert ran.stderr == "Ended: stdout takes nothing more (No space left on device).\n"
