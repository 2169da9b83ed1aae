"""``manage.py publish``: one message, or the lines of a pipe; what it says and how it ends."""

import json
import logging
import os
import signal
import subprocess
from base64 import b64decode
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from messaging import connection, log
from messaging.event import Event
from tests.commands import run
from tests.conftest import Manage
from tests.processes import Process
from tests.servers import TestServer
from tests.shells import shell
from tests.sites import Database
from tests.stored import Stored, stored
from tests.waiting import eventually


@pytest.fixture
def events(broker: TestServer) -> Callable[[], list[Event]]:
    """What stands in the log."""
    client = connection.client()
    return lambda: [entry.event() for entry in log.between(client, 0, log.START, None, count=100_000)]


Events = Callable[[], list[Event]]


def data_of(events: Events) -> list[Any]:
    return [event.data for event in events()]


# -- one message


@pytest.mark.parametrize(
    ("arguments", "data"),
    [
        (['{"id": 1}'], {"id": 1}),
        (["New data available"], "New data available"),
        (["5"], 5),
        (["--text", "5"], "5"),
        (["null"], None),
        (["{broken"], "{broken"),
        (["NaN"], "NaN"),
        ([""], ""),
        (["two\nlines"], "two\nlines"),
        ([os.fsdecode(b"\xff\xfe")], b"\xff\xfe"),
    ],
)
def test_data_is_json_text_or_bytes(events: Events, arguments: list[str], data: object) -> None:
    ran = run("publish", "updates", *arguments)
    (event,) = events()
    assert (ran.code, ran.out) == (0, f"{event.location} {event.id}\n")
    assert (event.channel, event.data) == ("updates", data)


def test_json_stays_as_it_was_typed(events: Events) -> None:
    run("publish", "updates", '{"n": 1e400, "n": 12345678901234567890123}')
    assert events()[0].payload == b'{"n": 1e400, "n": 12345678901234567890123}'


def test_attributes(events: Events) -> None:
    options = [
        "--type",
        "order.v2",
        "--key",
        "7",
        "--id",
        "e-1",
        "-H",
        "tenant:acme",
        "--header",
        "note: a: b",
    ]
    run("publish", "orders.created", *options, "tea")
    (event,) = events()
    assert (event.type, event.key, event.id) == ("order.v2", "7", "e-1")
    assert event.headers == {"tenant": "acme", "note": "a: b"}


def test_json_output_says_where_it_is(events: Events) -> None:
    ran = run("publish", "updates", "tea", "--json-output")
    (event,) = events()
    assert ran.objects == [{"id": event.id, "channel": "updates", "position": event.location}]


@pytest.mark.parametrize("data", ["{broken", "[1, 2"])
def test_what_only_begins_like_json_is_mentioned(events: Events, data: str) -> None:
    assert "Published as text" in run("publish", "updates", data).err
    assert run("publish", "updates", "--text", data).err == ""


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["two words", "x"], 2, "a channel has no ' ' in it: 'two words'"),
        (["updates", "x", "-H", "Tenant:acme"], 2, "'Tenant'"),
        (["updates", "x", "-H", "tenant"], 2, "not NAME:VALUE: 'tenant'"),
        (["updates", "x", "-H", "tenant:x", "-H", "tenant:y"], 2, "-H tenant has one value: 'x' or 'y'?"),
        (["updates", "x", "--key", "a\nb"], 2, "partitionkey"),
        (["updates", "x", "--key", ""], 2, "argument --key: it is empty"),
        (["updates", "x", "--type", ""], 2, "argument --type: it is empty"),
        (["updates", "x", "--id", ""], 2, "argument --id: it is empty"),
        (["updates", "-", "--id", "1"], 2, "--id names one message"),
        (["updates", "x", "y"], 2, "unrecognized arguments: y"),
        (["updates", "--json", "{broken"], 1, "not JSON: '{broken'"),
        (["updates", "x" * 300_000], 1, "the limit is 262,144"),
    ],
)
def test_what_cannot_be_published_is_named(
    events: Events, arguments: list[str], code: int, said: str
) -> None:
    ran = run("publish", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert events() == []


def test_a_template_is_published_so_many_times(events: Events) -> None:
    template = '{"n": {{n}}, "r": {{random 3 5}}, "id": "{{ id }}", "at": "{{time}}"}'
    ran = run("publish", "orders", template, "--count", "1200")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.startswith("1,200 messages published to orders in ")
    assert not logging.getLogger("messaging.publish").filters  # what it changes for itself is as it was
    found = data_of(events)
    assert [each["n"] for each in found] == list(range(1, 1201))
    assert {each["r"] for each in found} == {3, 4, 5}
    assert len({each["id"] for each in found}) == 1200
    assert all(datetime.fromisoformat(each["at"]).tzinfo for each in found)


def test_a_delay_lies_between_two_of_them(manage: Manage, events: Events) -> None:
    process = manage("publish", "slow", "tick {{n}}", "--count", "1000", "--delay", "0.05")
    eventually(lambda: data_of(events)[:3] == ["tick 1", "tick 2", "tick 3"])
    assert process.terminate() == 0
    found = events()
    assert len(found) < 1000
    assert f"{len(found):,} message" in process.stderr
    first, *_, last = [event.time for event in found]
    assert (last - first).total_seconds() > 0.045 * (len(found) - 1)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["{{m}}", "--count", "2"], 2, "'{{m}}' is no placeholder"),
        (["{{random 1}}", "--count", "2"], 2, "'{{random 1}}' is no placeholder"),
        (["{{n}}", "--count", "0"], 2, "not a number from 1 to 10,000,000: '0'"),
        (["x", "--count", "2", "--delay", "-1"], 2, "not a number of seconds from 0 to 86,400: '-1'"),
        (["x", "--count", "2", "--delay", "nan"], 2, "'nan'"),
        (["x", "--count", "2", "--id", "1"], 2, "--count makes many"),
        (["-", "--count", "2"], 2, "--count repeats DATA"),
        (["x", "--delay", "2"], 2, "--delay lies between two of --count"),
        (["{{n}", "--json", "--count", "2"], 1, "not JSON"),
    ],
)
def test_what_cannot_be_repeated_is_named(events: Events, arguments: list[str], code: int, said: str) -> None:
    ran = run("publish", "updates", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert events() == []


def test_redis_away_is_a_sentence(broker: TestServer) -> None:
    broker.stop()
    ran = run("publish", "updates", "tea")
    assert ran.code == 1
    assert ran.err.startswith("Not published: Redis at unix://")
    assert len(ran.err.splitlines()) == 1


# -- the lines of a pipe


def piped(manage: Manage, *arguments: str, **options: object) -> Process:
    return manage("publish", *arguments, stdin=subprocess.PIPE, **options)


def write(process: Process, data: bytes, *, end: bool = False) -> None:
    stdin = process.popen.stdin
    assert stdin is not None
    stdin.write(data)
    stdin.flush()
    if end:
        stdin.close()


def test_each_line_is_a_message_in_order(manage: Manage, events: Events) -> None:
    process = piped(manage, "system.log")
    lines = [f"line {number}" for number in range(20_000)]
    write(process, "\n".join(lines).encode(), end=True)
    assert process.wait() == 0
    assert data_of(events) == lines
    assert process.stdout == ""
    assert process.stderr.startswith("20,000 messages published to system.log in ")


def test_a_line_is_sent_while_the_pipe_stays_open(manage: Manage, events: Events) -> None:
    process = piped(manage, "system.log", "-")
    write(process, b"first\n")
    eventually(lambda: data_of(events) == ["first"])
    write(process, b"second\nthi")
    eventually(lambda: data_of(events) == ["first", "second"])
    write(process, b"rd", end=True)
    assert process.wait() == 0
    assert data_of(events) == ["first", "second", "third"]


def test_bad_lines_are_named_and_the_others_go_on(manage: Manage, events: Events) -> None:
    process = piped(manage, "imports.rows", "--json")
    write(process, b'{"n": 1}\nno json\n\n"' + b"x" * 300_000 + b'"\n\xff\n{"n": 2}\n', end=True)
    assert process.wait() == 1
    assert data_of(events) == [{"n": 1}, {"n": 2}]
    assert process.stderr.splitlines()[:3] == [
        "publish: line 2 is not published: not JSON: 'no json'",
        "publish: line 4 is not published: it has 300,002 bytes, an event at most 262,144",
        "publish: line 5 is not published: not JSON: b'\\xff'",
    ]
    assert "2 messages published" in process.stderr
    assert process.stderr.endswith("1 blank line skipped, 3 lines refused\n")


def test_blank_lines_bytes_and_attributes(manage: Manage, events: Events) -> None:
    process = piped(
        manage, "raw", "--keep-blank", "--text", "--key", "7", "-H", "tenant:acme", "--json-output"
    )
    write(process, b"\n5\r\n\xff\n", end=True)
    assert process.wait() == 0
    found = events()
    assert [event.data for event in found] == ["", "5", b"\xff"]
    assert {(event.key, event.headers["tenant"]) for event in found} == {("7", "acme")}
    assert [json.loads(line)["id"] for line in process.stdout.splitlines()] == [event.id for event in found]


def test_quiet_says_nothing(manage: Manage, events: Events) -> None:
    process = piped(manage, "a", "--quiet")
    write(process, b"1\n", end=True)
    assert (process.wait(), process.output, data_of(events)) == (0, "", [1])


def test_a_wrong_channel_is_found_before_the_first_line(manage: Manage, broker: TestServer) -> None:
    process = piped(manage, "two words")
    assert process.wait() == 2
    assert "a channel has no ' '" in process.stderr


def test_a_person_sees_progress(manage: Manage, broker: TestServer) -> None:
    process = piped(manage, "numbers", tty=True, env={"TERM": "xterm"})
    write(process, b"1\n2\n3\n")
    process.wait_for(r"3 published, [\d,]+/s")
    write(process, b"4\n", end=True)
    assert process.wait() == 0
    assert "4 messages published to numbers" in process.output


def test_while_redis_is_away_the_lines_wait_and_none_is_stored_twice(
    manage: Manage, broker: TestServer, events: Events
) -> None:
    process = piped(manage, "numbers")
    write(process, b"1\n")
    eventually(lambda: data_of(events) == [1])
    broker.stop()
    write(process, b"2\n3\n")
    process.wait_for("the lines wait: Redis at")
    broker.start()
    process.wait_for("goes on")
    write(process, b"4\n", end=True)
    assert process.wait() == 0
    assert data_of(events) == [1, 2, 3, 4]
    assert len(process.stderr.splitlines()) == 3, process.stderr  # away, back, the summary


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_what_was_read_sent(manage: Manage, events: Events, number: int) -> None:
    process = piped(manage, "numbers")
    write(process, b"1\n2\n")
    eventually(lambda: data_of(events) == [1, 2])
    process.signal(number)
    assert process.wait() == 0
    assert "2 messages published" in process.stderr


def test_ended_while_lines_wait_it_says_how_many_are_lost(manage: Manage, broker: TestServer) -> None:
    broker.stop()
    process = piped(manage, "numbers")
    write(process, b"1\n2\n")
    process.wait_for("the lines wait")
    process.signal(signal.SIGTERM)
    assert process.wait() == 5
    assert "2 lines read but not taken by Redis" in process.stderr


def test_a_log_that_is_full_makes_lines_wait_too(manage: Manage, broker: TestServer, events: Events) -> None:
    broker.client().config_set("maxmemory", "1mb")
    try:
        process = piped(manage, "numbers")
        write(process, b"1\n")
        process.wait_for("the lines wait")
    finally:
        broker.client().config_set("maxmemory", "0")
    process.wait_for("goes on")
    write(process, b"2\n", end=True)
    assert process.wait() == 0
    assert data_of(events) == [1, 2]


def test_a_refusal_that_waiting_does_not_heal_ends_it(manage: Manage, broker: TestServer) -> None:
    broker.client().set("messaging:{0}:log", "not a stream")
    process = piped(manage, "numbers")
    write(process, b"1\n2\n", end=True)
    assert process.wait() == 1
    assert "Redis refuses, 2 lines not published" in process.stderr
    assert "WRONGTYPE" in process.stderr


def test_a_reader_of_the_report_that_leaves_does_not_end_the_publishing(
    broker: TestServer, short_directory: Path, events: Events
) -> None:
    ran = shell("seq 1 20000 | manage.py publish c - --json-output | head -n 1", broker, short_directory)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["channel"] == "c"
    said, summary = ran.stderr.splitlines()
    assert said == (
        "publish: stdout takes nothing more (its reader is gone): there are no more reports, the work goes on"
    )
    assert summary.startswith("20,000 messages published to c in ")
    assert data_of(events) == list(range(1, 20_001))


def test_nobody_who_hears_what_it_says_does_not_end_it_either(
    broker: TestServer, short_directory: Path, events: Events
) -> None:
    line = "(echo no json; seq 1 1000) | manage.py publish c - --json 2>&1 >/dev/null | true"
    assert shell(line, broker, short_directory).returncode == 1  # for the line that was refused
    assert data_of(events) == list(range(1, 1001))


def test_a_full_disk_does_not_hide_that_it_was_published(
    broker: TestServer, short_directory: Path, events: Events
) -> None:
    ran = shell("manage.py publish c 1 > /dev/full", broker, short_directory)
    (event,) = events()
    assert ran.returncode == 1
    assert ran.stderr == (
        f"Published as {event.location} {event.id}, which cannot be printed: stdout takes nothing more "
        "(No space left on device).\n"
    )
    ran = shell("seq 2 3000 | manage.py publish c - --json-output > /dev/full", broker, short_directory)
    assert ran.returncode == 1
    assert "(No space left on device): there are no more reports" in ran.stderr
    assert data_of(events) == list(range(1, 3001))


def test_whatever_the_bytes_each_line_arrives_or_is_named(
    manage: Manage, broker: TestServer, database_copy: Database
) -> None:
    good = [
        b"a\x00b",
        b'"\\ud800"',
        b"NaN",
        b"-Infinity",
        b"1e400",
        b"9" * 5000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a": 1, "a": 2}',
        b"\xff\xfe\x00",
        b"\xc3\x28 half a sign",
        b"plain text \xe2\x80\xae reversed",
        b"{}",
        b"null",
        b'{"specversion": "1.0", "id": "1"}',
        b"\x1b[2J",
        b"\x85\xc2\x85",  # a line end of Unicode is none of a pipe
    ]
    manage("listen")
    process = piped(manage, "anything")
    write(process, b"\n".join([*good, b"x" * 10_000_000, b"the last one"]), end=True)
    assert process.wait(30) == 1
    assert "line 17 is not published: it has 10,000,000 bytes" in process.stderr
    assert len(process.stderr.splitlines()) == 2

    eventually(lambda: len(stored(database_copy.path)) > len(good))
    assert [payload_of(row) for row in stored(database_copy.path)] == [*good, b"the last one"]
    for form in ("--raw", "--json", "--lines", "--full"):
        shown = run("tail", "--until-end", form)
        assert (shown.code, shown.err) == (0, "")
        assert "the last one" in shown.out.splitlines()[-1 if form != "--full" else -2]


def payload_of(row: Stored) -> bytes:
    """The bytes that were piped in."""
    if row.content_type == "application/octet-stream":
        return b64decode(row.payload)
    if row.content_type == "text/plain":
        return str(row.data).encode()
    return row.payload.encode()
