"""``manage.py messaging queues|pause|resume|cancel|purge|dead|workers``."""

import pytest
from django.test import Client
from pytest_django import Settings

from messaging.taskqueue import draining
from messaging.taskqueue.job import State
from messaging.taskqueue.payloads import decode_body
from messaging.taskqueue.quantities import BUCKETS, quantile, together
from messaging.taskqueue.queue import Queue
from messaging.taskqueue.standing import queue
from messaging.terminal.stopping import Stop
from tests.commands import Ran
from tests.commands import run as run_command
from tests.queued import TASK, beat, claim, enqueue, kill, succeed
from tests.servers import TestServer

BACKEND = {"BACKEND": "messaging.taskqueue.RedisTaskBackend", "QUEUES": ["default", "mails"]}


def run(*arguments: str) -> Ran:
    return run_command("messaging", *arguments)


@pytest.fixture
def mails(broker: TestServer, settings: Settings) -> Queue:
    settings.TASKS = {"default": BACKEND}
    return queue("default", "mails")


def test_how_queues_stand(mails: Queue) -> None:
    enqueue(3)
    enqueue(2, due_ms=2**45)
    claim(1)
    succeed(2)
    kill(1)
    beat(mails)
    ran = run("queues")
    assert ran.code == 0
    head, default, row = ran.out.splitlines()
    assert head.split()[:5] == ["queue", "ready", "running", "delayed", "dead"]
    assert default.split()[:6] == ["default", "0", "0", "0", "0", "-"]
    assert row.split()[:5] == ["mails", "2", "1", "2", "1"]
    assert "1, 1/10 busy" in row
    (found,) = run("queues", "mails", "--json").objects
    assert (found["queue"], found["workers"], found["dying"]) == ("mails", 1, 1)
    assert found["entered"] == pytest.approx(8 / 5, abs=0.3)


def test_queues_are_watched_also_while_redis_is_away(
    mails: Queue, broker: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def pause(stop: Stop, seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 1:
            broker.stop()
        stop.asked = len(pauses) == 2

    monkeypatch.setattr(Stop, "pause", pause)
    enqueue(3)
    ran = run("queues", "--watch")
    assert (ran.code, pauses) == (0, [2.0, 2.0])
    first, then = ran.out.split("Problem: Redis is away", 1)
    assert "mails" in first
    assert "mails" not in then


@pytest.mark.parametrize(
    ("option", "text", "least"),
    [("--watch", "nan", "0.2"), ("--watch", "0", "0.2"), ("--max-wait", "nan", "0")],
)
def test_spans_that_are_none(mails: Queue, option: str, text: str, least: str) -> None:
    ran = run("queues", f"{option}={text}")
    assert ran.code == 2
    assert f"not a number of seconds from {least} to 1,000,000: '{text}'" in ran.err


def test_workers_are_told_to_drain(mails: Queue) -> None:
    assert "No worker is there." in run("drain", "--all").err
    assert run("drain").code == run("drain", "host", "--all").code == 2
    for unit, worker in (
        ("host:0:123", "host:1:abc"),
        ("host:0:123", "host:2:def"),
        ("other:1:456", "other:2:fed"),
    ):
        beat(mails, worker, unit=unit, backend="default")
    assert run("drain", "host:2:def", "--stay").err.startswith(
        "host:0:123 takes no more tasks, and stays, within"
    )
    said = draining.heard(mails.client, "default", "host:0:123")
    assert said is not None
    assert (said.wish, "@" in said.by) == ("stay", True)
    assert draining.heard(mails.client, "default", "other:1:456") is None
    assert len(run("drain", "--all", "--undo").err.splitlines()) == 2
    assert (
        "There is no worker 'nobody'. Those that there are: host:0:123, other:1:456."
        in run("drain", "nobody").err
    )


def test_a_queue_that_stands_still(mails: Queue) -> None:
    enqueue(2)
    assert run("queues").code == 0  # nobody works yet, but they have not waited for long
    mails.now = mails.counts().now_ms - 3_600_000
    enqueue(1)
    assert run("pause", "mails", "--why", "the server\x1b moves").code == 0
    ran = run("queues")
    assert ran.code == 4
    assert "Problem: queue 'mails' is paused by " in ran.err
    assert "(the server\\x1b moves), and 3 tasks wait in it" in ran.err
    assert "was paused already by" in run("pause", "mails").err
    assert "mails runs again; 3 tasks are ready in it." in run("resume", "mails").err
    assert "was not paused" in run("resume", "mails").err
    kill(10)
    ran = run("queues")
    assert ran.code == 4
    assert "10 new dead letters" in ran.err


@pytest.mark.django_db
def test_status_has_them(mails: Queue) -> None:
    enqueue(2)
    kill(1)
    mails.pause("anna", "lunch")
    ran = run("status")
    assert ran.code == 4
    assert "Queue           mails: 2 ready, 1 dead, paused by anna since " in ran.out
    assert "Problem: queue 'mails' is paused by anna" in ran.out
    assert run("status", "--json").objects[0]["queues"][1]["counts"]["ready"] == 2  # type: ignore[index]


def test_names_that_are_none(mails: Queue) -> None:
    for words in (("pause", "mail"), ("queues", "mail"), ("purge", "mail", "--state", "dead")):
        ran = run(*words)
        assert ran.code == 1
        assert "There is no queue 'mail'. Those that there are: default, mails." in ran.err
    assert run("purge", "mails").code == 2
    assert run("purge", "mails", "--state", "running").code == 2
    assert run("queues", "--backend", "other").code == 3


def test_redis_away(mails: Queue, broker: TestServer) -> None:
    broker.stop()
    for words in (("queues",), ("pause", "mails"), ("dead", "list"), ("workers",), ("cancel", "x")):
        ran = run(*words)
        assert ran.code == 1
        assert "Redis is away" in ran.err


def test_cancel(mails: Queue) -> None:
    ran_id, wait_id = (*enqueue(1, priority=1), *enqueue(1))
    claim(1)
    ran = run("cancel", ran_id, wait_id)
    assert ran.code == 0
    assert f"{ran_id} runs, and its worker is told to stop it: host:1:abc." in ran.err
    assert f"{wait_id} is cancelled." in ran.err
    again = run("cancel", ran_id, wait_id, "mails.nothing")
    assert again.code == 1
    assert "is being stopped already" in again.err
    assert "has ended already: cancelled" in again.err
    assert "mails.nothing is not known" in again.err
    job = mails.get(wait_id)
    assert job is not None
    assert "@" in job.reason


def test_purge(mails: Queue) -> None:
    enqueue(3)
    enqueue(2, due_ms=2**45)
    assert (
        "3 ready tasks of mails would be removed."
        in run("purge", "mails", "--state", "ready", "--dry-run").err
    )
    assert "3 ready tasks of mails removed." in run("purge", "mails", "--state", "ready").err
    counts = mails.counts()
    assert (counts.ready, counts.delayed) == (0, 2)
    assert mails.stats(1)[-1].counts["purged"] == 3


def test_dead_letters(mails: Queue) -> None:
    kill(2)
    late = kill(1, task="shop.tasks.bill", error="smtplib.SMTPServerDisconnected", traceback="Lost\nMAILHOST")
    kill(1, name="default", task="shop.tasks.bill", args=[7, {"sku": "a"}])
    assert len(run("dead", "list").out.splitlines()) == 4
    assert "shop.tasks.bill  MAILHOST, failed 2 times\n" in run("dead", "list").out
    assert run("dead", "list", "--limit", "3").err.startswith("The newest 3 are listed")
    for filters, count in (
        (("--task", "bill"), 2),
        (("--task", "ill"), 0),
        (("--error", "SMTPServerDisconnected"), 1),
        (("--error", "builtins.ValueError", "--queue", "mails"), 2),
        (("--text", "mailhost"), 1),
        (("--since", "1h"), 4),
        (("--since", "2100-01-01"), 0),
        (("--where", "args.1.sku=a", "--where", "args.0>6"), 1),
        (("--where", "error!=x", "--where", "attempts=2"), 4),
    ):
        assert f"{count} dead letter" in run("dead", "discard", "--all", "--dry-run", *filters).err, filters
    (found,) = run("dead", "list", "--error", "SMTPServerDisconnected", "--json").objects
    assert (found["id"], found["queue"], found["reason"]) == (late[0], "mails", "failed 2 times")
    groups = run("dead", "list", "--groups").out.split("\n")
    assert groups[0].split() == ["2", "mails", "tests.taskqueue.jobs.note", "builtins.ValueError"]
    assert run("dead", "list", "--groups", "--text", "mailhost").out.split()[:2] == ["1", "mails"]
    assert run("dead", "retry").code == 2
    assert run("dead", "list", "--where", "nonsense=1").code == 2
    assert run("dead", "retry", late[0], "mails.x").code == 1
    job = mails.get(late[0])
    assert job is not None
    assert job.state is State.READY
    assert (
        "2 dead letters retried."
        in run("dead", "retry", "--all", "--error", "ValueError", "--queue", "mails").err
    )
    assert "1 dead letter discarded." in run("dead", "discard", "--all").err
    assert "There are no such dead letters." in run("dead", "list").err


def test_a_dead_letter_whose_unique_key_another_task_holds_stays(mails: Queue) -> None:
    (dead,) = kill(1, unique="digest")
    (holder,) = enqueue(1, unique="digest")
    ran = run("dead", "retry", dead)
    assert ran.code == 1
    assert "1 dead letter not retried: a task of the same unique key is in the queue." in ran.err
    assert "none any more" not in ran.err
    assert mails.cancel(holder, "me")
    assert "1 dead letter retried." in run("dead", "retry", dead).err


def test_filters_are_valid_for_ids_too(mails: Queue) -> None:
    ids = kill(2)
    (other,) = kill(1, task="shop.tasks.bill", error="smtplib.SMTPServerDisconnected")
    (late,) = kill(1, name="default")
    every = (*ids, other, late)
    for filters, left in (
        ((), every),
        (("--error", "SMTPServerDisconnected"), (other,)),
        (("--task", "bill", "--error", "ValueError"), ()),
        (("--queue", "default"), (late,)),
        (("--text", ids[0]), (ids[0],)),
        (("--where", f"id={late}"), (late,)),
        (("--since", "2100-01-01"), ()),
    ):
        ran = run("dead", "list", *every, "--json", *filters)
        assert {each["id"] for each in ran.objects} == set(left), filters
        assert ran.code == (0 if len(left) == 4 else 1)
        assert all(each in ran.err for each in every if each not in left)
    groups = run("dead", "list", *ids, late, "--groups").out.splitlines()
    assert [line.split()[:2] for line in groups] == [["2", "mails"], ["1", "default"]]

    assert (
        "1 dead letter would be discarded."
        in run("dead", "discard", *every, "--task", "bill", "--dry-run").err
    )
    ran = run("dead", "discard", *every, "--error", "SMTPServerDisconnected")
    assert ran.code == 1
    assert ran.err == (
        f"1 dead letter discarded.\nNo such dead letters, or none any more: {ids[0]}, {ids[1]}, {late}.\n"
    )
    assert mails.counts().dead == 2
    ran = run("dead", "retry", ids[0], "--args", "[1]", "--task", "bill")
    assert (ran.code, mails.counts().ready) == (1, 0)
    assert "no such dead letter" in ran.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("discard", "default.x", "--all"), "discard ID ..., or discard --all: not both."),
        (("retry", "--all", "--groups"), "--groups is for list."),
        (("list", "--limit", "0"), "not a whole number from 1: '0'"),
        (("list", "--limit", "-1"), "not a whole number from 1: '-1'"),
        (("retry", "default.x", "--args", '{"a":1}'), "--args is a JSON array, not '{\"a\":1}'."),
        (("retry", "default.x", "--kwargs", "[1]"), "--kwargs is a JSON object, not '[1]'."),
        (("retry", "default.x", "--kwargs", "{"), "--kwargs is not JSON: "),
    ],
)
def test_what_cannot_be_asked_of_dead_letters(mails: Queue, words: tuple[str, ...], said: str) -> None:
    ran = run("dead", *words)
    assert ran.code == 2
    assert said in ran.err


def test_ids_that_are_no_dead_letters_are_named(mails: Queue) -> None:
    (ready,) = enqueue(1)
    ran = run("dead", "retry", ready, ready, *(f"mails.{number}" for number in range(11)))
    assert ran.code == 1
    assert ran.err.splitlines()[1].startswith(f"No such dead letters, or none any more: {ready}, mails.0, ")
    assert ran.err.endswith("mails.8 and 2 more.\n")


def test_a_dead_letter_again_with_other_arguments(mails: Queue) -> None:
    (dead,) = kill(1, task="tests.taskqueue.jobs.add", args=[1])
    assert "It could be called so." in run("dead", "retry", dead, "--kwargs", '{"b": 2}', "--dry-run").err
    assert "cannot be called so" in run("dead", "retry", dead, "--kwargs", '{"c": 2}').err
    assert (
        run("dead", "retry", dead, "--args", "[").code
        == run("dead", "retry", "--all", "--args", "[]").code
        == 2
    )
    ran = run("dead", "retry", dead, "--kwargs", '{"b": 2}')
    assert (ran.code, mails.counts().ready, mails.counts().dead) == (0, 1, 1)
    job = mails.get(ran.out.strip())
    assert job is not None
    assert decode_body(job.body).kwargs == {"b": 2}
    assert "no such dead letter" in run("dead", "retry", job.id, "--args", "[]").err


def test_more_dead_letters_of_one_millisecond_than_a_page(
    mails: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("messaging.taskqueue.dead.LOOK", 3)
    kill(10)
    kill(2)
    assert "12 dead letters would" in run("dead", "retry", "--all", "--dry-run").err
    assert "12 dead letters retried." in run("dead", "retry", "--all").err


def test_workers(mails: Queue) -> None:
    assert run("workers").code == 4
    beat(mails)
    (held,) = enqueue()
    claim(worker="host:2:def")
    mails.now = mails.counts().now_ms - 60_000
    task = {"task": TASK, "queue": "mails", "since": 0}
    beat(mails, "host:2:def", busy=2, tasks=[task | {"id": each} for each in (held, "another")])
    ran = run("workers")
    assert ran.code == 0
    _, first, second = ran.out.splitlines()
    assert first.split()[:3] == ["host:1:abc", "working", "default,mails"]
    assert (second.split()[1], second.split()[3], second.split()[-2:]) == ("silent", "1/10", [TASK, held])
    assert run("workers", "--json").objects[0]["facts"]["begun"] == 5  # type: ignore[index]
    mails.now = ""
    mails.release_worker("host:2:def")
    last = run("workers").out.splitlines()[-1].split()
    assert (last[1], last[3], last[-1]) == ("silent", "0/10", "-")


def test_a_worker_has_a_line_for_each_of_its_tasks(mails: Queue) -> None:
    held = enqueue(12)
    mails.claim("host:1:abc", 12, lease_ms=60_000)
    beat(mails, tasks=[{"task": TASK, "queue": "mails", "since": 0, "id": each} for each in held])
    _, first, *others, last = run("workers").out.splitlines()
    assert first.split()[0] == "host:1:abc"
    assert [each.split() for each in others] == [[TASK, each] for each in held[1:10]]
    assert last.split() == ["and", "2", "more"]


@pytest.mark.django_db
def test_metrics_have_them(mails: Queue, settings: Settings, client: Client) -> None:
    enqueue(2)
    enqueue(1, due_ms=2**42)
    succeed(3)
    kill(1)
    beat(mails)
    settings.MESSAGING = settings.MESSAGING | {"METRICS_TOKEN": "word"}
    text = client.get("/metrics", headers={"Authorization": "Bearer word"}).content.decode()
    labels = '{backend="default",queue="mails"}'
    for name, value in (("ready", 2), ("delayed", 1), ("dead", 1), ("due", 0), ("busy", 1), ("slots", 10)):
        assert f"messaging_task_queue_{name}{labels} {value}\n" in text
    for share in ("0.5", "0.95", "0.99"):
        assert (
            f'messaging_task_queue_wait_seconds{{backend="default",queue="mails",quantile="{share}"}} '
            in text
        )
    assert 'messaging_task_queue_dead{backend="default",queue="default"} 0' in text


def test_quantiles_of_a_histogram() -> None:
    nothing = [0] * BUCKETS
    assert quantile(nothing, 0.5) is None
    for bucket, low, high in ((0, 0, 1), (1, 1, 2), (10, 512, 1024)):
        counts = together([nothing, [4 if at == bucket else 0 for at in range(BUCKETS)]])
        assert (quantile(counts, 0.25), quantile(counts, 1)) == (low + (high - low) / 4, high)
    assert quantile([1, 0, 0, 1], 0.5) == 1
