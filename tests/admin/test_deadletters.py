"""The page of dead letters: filters, groups, what errors said; retried, discarded, edited."""

import re
from pathlib import Path

import msgspec
import pytest
from django.test import Client
from pytest_django import Settings

from messaging.admin import asked
from messaging.taskqueue.job import Failed, NewJob, State, error_of, new_id
from messaging.taskqueue.queue import Queue
from messaging.testing import run_tasks
from tests.admin.conftest import Staff
from tests.admin.consoles import (
    DEAD,
    TASKS,
    get,
    hidden,
    logged,
    post,
    state_of,
)
from tests.queued import claim, enqueue, kill

TRACEBACK = """Traceback (most recent call last):
  File "shop/tasks.py", line 7, in charge
ConnectionError: cannot reach <api.shop.example>:443
"""


def test_a_dead_letter_again_with_other_arguments(
    admin: Client, staff: Staff, mails: Queue, settings: Settings
) -> None:
    (dead,) = kill(1, task="tests.taskqueue.jobs.add", args=[1])
    url = f"{TASKS}{dead}/edit/"
    assert url in get(admin, f"{TASKS}{dead}/change/")
    assert "&quot;order_id&quot;" in get(admin, url)
    for args, kwargs, wrong in (
        ("[1", "{}", "at line 1"),
        ("{}", "{}", "This is a JSON list"),
        ("[1]", "[]", "This is a JSON object"),
        ("[]", "{}", "missing a required argument"),
        ('[["x"]]', '{"c": 1}', "unexpected keyword argument"),
    ):
        assert wrong in post(admin, url, args=args, kwargs=kwargs).replace("&#x27;", "'")
    assert mails.counts().ready == 0
    html = post(admin, url, args="[40]", kwargs='{"b": 2}')
    assert f'Enqueued. The dead letter is as it was: <a href="{TASKS}{dead}/change/">{dead}</a>' in html
    assert (mails.counts().ready, mails.counts().dead) == (1, 1)
    assert run_tasks()[0].return_value == 42
    assert logged()[0].startswith("Enqueued with other arguments: mails.")
    assert logged()[1] == f"Enqueued from dead letter {dead}."
    assert staff("view_task").get(url).status_code == 403
    (gone,) = kill(1, task="tests.taskqueue.jobs.gone")
    assert "cannot be imported here" in post(admin, f"{TASKS}{gone}/edit/", args="[]", kwargs="{}")
    settings.MESSAGING = settings.MESSAGING | {"REDACT_FIELDS": ["data.**.order_id"]}
    html = get(admin, f"{TASKS}{dead}/change/")
    assert "[redacted]" in html
    assert url not in html
    (ready,) = enqueue(1)
    assert "It is no dead letter" in post(admin, f"{TASKS}{ready}/edit/")


def test_a_function_that_somebody_wrote_into_a_dead_letter_is_not_called(
    admin: Client, mails: Queue, tmp_path: Path
) -> None:
    made, task = tmp_path / "made", "tests.taskqueue.jobs.note"
    body = {"task": task, "args": [str(made)], "options": {"order_key": {"path": "os.mkdir"}}}
    mails.enqueue([NewJob(id=new_id("mails"), body=msgspec.json.encode(body), task=task)])
    (dead,) = claim()
    mails.settle(
        "host:1:abc", [Failed(dead.id, dead.token, error_of("builtins.ValueError", ""), "failed 1 times")]
    )
    html = post(admin, f"{TASKS}{dead.id}/edit/", args=f'["{made}"]', kwargs="{}").replace("&#x27;", "'")
    assert not made.exists()
    assert "order_key: 'os.mkdir' is not signed" in html
    assert mails.counts().ready == 0


def test_what_is_redacted_cannot_be_guessed_by_a_search(
    admin: Client, mails: Queue, settings: Settings
) -> None:
    kill(1, args=[{"card": "4111"}])
    assert get(admin, f"{DEAD}?text=4111").count('name="chosen"') == 1
    settings.MESSAGING = settings.MESSAGING | {"REDACT_FIELDS": ["data.**.card"]}
    assert get(admin, f"{DEAD}?text=4111").count('name="chosen"') == 0


def test_a_dead_letter_whose_unique_lock_another_task_holds_stays(admin: Client, mails: Queue) -> None:
    (dead,) = kill(1, unique="digest")
    enqueue(1, unique="digest")
    html = post(admin, f"{DEAD}act/retry/", chosen=f"default/mails/{dead}", post="yes")
    assert "1 stays: a task of the same unique key is in its queue." in html
    assert mails.counts().dead == 1


def test_dead_letters_of_a_group_and_none_that_came_after_the_question(admin: Client, mails: Queue) -> None:
    mine = kill(12)
    others = kill(2, error="smtplib.SMTPException", traceback="MAILHOST is away")
    html = get(admin, DEAD)
    assert "14 dead letters, by error" in html
    retry = re.findall(r'href="([^"]+act/retry/[^"]+)">Retry 12', html)[0].replace("&amp;", "&")
    html = get(admin, retry)
    assert "12 dead letters go back to their queues" in html
    assert "and 7 more" in html
    assert "error =builtins.ValueError" in html
    fields = hidden(html)
    mails.now = mails.counts().now_ms + 60_000
    assert fields["error"] == "=builtins.ValueError"
    html = post(admin, f"{DEAD}act/retry/", **fields | {"until": str(int(fields["until"]))})
    assert "12 are back in their queues." in html
    assert "No dead letter matches." in html  # the filter is still there
    assert {state_of(mails, each) for each in mine} == {State.READY}
    assert {state_of(mails, each) for each in others} == {State.DEAD}
    assert logged() == ["Retried: back in its queue."] * 12
    assert "0 dead letters" in get(admin, f"{DEAD}act/discard/?all=1&until=5")
    assert mails.counts().dead == 2


def test_dead_letters_ticked_or_filtered(
    admin: Client, mails: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = kill(1, name="default")
    kill(3, error="smtplib.SMTPException", traceback="MAILHOST is away", args=[7])
    for query, count in (
        ("error=SMTPException", 3),
        ("text=mailhost", 3),
        ("since=1h", 4),
        ("task=jobs.note", 4),
    ):
        html = get(admin, f"{DEAD}?{query}")
        assert html.count('name="chosen"') == count, query
    assert "No dead letter matches." in get(admin, f"{DEAD}?text=nothing")
    assert hidden(get(admin, f"{DEAD}act/retry/?all=1&since=1h"))["since"].startswith("20")
    for query, field, said in (
        ("since=yesterday-ish", "since", "neither an age"),
        ("place=default/mail", "place", "There is no such queue."),
    ):
        html = get(admin, f"{DEAD}?{query}")
        assert re.search(rf'name="{field}"[^>]* aria-invalid="true" aria-describedby="{field}-problem"', html)
        assert said in html.partition(f'id="{field}-problem"')[2].partition("</span>")[0]
        assert not re.search(r'name="chosen"|/act/|class="paginator', html)
        post(admin, f"{DEAD}act/discard/?{query}", all="1", post="yes", **dict([query.split("=")]))
    assert mails.counts().dead == 3
    assert "Tick those" in post(admin, f"{DEAD}act/retry/")
    ticked = {"chosen": f"default/default/{one}"}
    html = post(admin, f"{DEAD}act/discard/", **ticked)
    assert "1 dead letter is removed for good" in html
    assert "1 was discarded." in post(admin, f"{DEAD}act/discard/", **hidden(html))
    assert mails.counts().dead == 3
    monkeypatch.setattr(asked, "SCANNED_WHOLE", 4)
    assert "The newest 2 were looked at" in get(admin, f"{DEAD}?text=mailhost")


def test_dead_letters_say_what_the_error_said(admin: Client, staff: Staff, mails: Queue) -> None:
    (dead,) = kill(1, error="builtins.ConnectionError", traceback=TRACEBACK, args=["card-7"])
    said = "ConnectionError: cannot reach &lt;api.shop.example&gt;:443"
    assert get(admin, DEAD).count(said) == 2  # of the group, and of the task
    assert said in get(admin, f"{TASKS}{dead}/change/").partition("mb-attempts")[0]
    question = get(admin, f"{DEAD}act/discard/?all=1")
    assert said in question
    assert "card-7" in question
    assert said in get(admin, f"{TASKS}{dead}/discard/")
    for url in (f"{DEAD}act/discard/?all=1", f"{TASKS}{dead}/discard/"):
        question = get(staff("manage_task"), url)
        assert "jobs.note" in question
        assert not re.search(r"ConnectionError|card-7|/change/", question)


def test_a_list_reads_one_traceback_a_group_and_those_of_its_page(
    admin: Client, mails: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill(1, error="shop.Rare", traceback="shop.Rare: once")
    kill(60)
    read: list[str] = []
    get_many = Queue.get_many

    def counted(q: Queue, ids: list[str]) -> object:
        read.extend(ids)
        return get_many(q, ids)

    monkeypatch.setattr(Queue, "get_many", counted)
    html = get(admin, DEAD)
    assert "shop.Rare: once" in html  # of the second page
    assert len(read) == 50 + 2
