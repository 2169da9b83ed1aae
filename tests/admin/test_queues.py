"""The pages of queues and workers, and what all of them share: what they show, who may do what."""

import re
import time
from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from messaging.taskqueue.draining import Asked, heard
from messaging.taskqueue.queue import Queue
from tests.admin.conftest import Staff
from tests.admin.consoles import (
    BACKEND,
    DEAD,
    MAILS,
    QUEUES,
    TASKS,
    WORKERS,
    get,
    hidden,
    links,
    logged,
    post,
)
from tests.queued import beat, claim, enqueue, kill, succeed
from tests.servers import TestServer


def test_every_page_when_there_is_nothing(admin: Client, mails: Queue, settings: Settings) -> None:
    assert "No task of default is ready." in get(admin, TASKS)
    assert "There are no dead letters." in get(admin, DEAD)
    assert "Nobody works." in get(admin, WORKERS)
    assert "Nothing in this time." in get(admin, MAILS)
    get(admin, f"{QUEUES}default/nothing/", 404)
    assert "There is no such task any more." in get(admin, f"{TASKS}mails.x/change/", 404)
    index = get(admin, "/admin/")
    assert all(url in index for url in (QUEUES, TASKS, DEAD, WORKERS))
    settings.TASKS = {"default": BACKEND | {"QUEUES": []}}
    assert "There is no queue yet." in get(admin, QUEUES)
    assert "There is no queue yet." in get(admin, TASKS)


def test_redis_away(admin: Client, mails: Queue, broker: TestServer) -> None:
    broker.stop()
    for url in (QUEUES, MAILS, TASKS, DEAD, WORKERS):
        assert "manage.py messaging doctor" in get(admin, url, 503)


def test_queues_and_one_of_them(admin: Client, mails: Queue) -> None:
    enqueue(3)
    succeed(2)
    kill(1)
    beat(mails)
    html = get(admin, QUEUES)
    assert f'href="{MAILS}"' in html
    assert f'href="{TASKS}?backend=default&amp;queue=mails&amp;state=ready">3</a>' in html
    assert f'href="{DEAD}?backend=default&amp;queue=mails">1</a>' in html
    assert "1 of 10 busy" in html
    for hours in (1, 6, 24, 168):
        html = get(admin, f"{MAILS}?hours={hours}&every=5")
        assert html.count("<svg viewBox") == 4
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in html
    assert "None was given up." in html


def test_charts_say_their_latest_values_in_the_words_of_the_list(admin: Client, mails: Queue) -> None:
    for queue in (
        "mails",
        "bills",
    ):  # the latest value is of a minute: if it ends just then, the next one is for another
        minute = time.time() // 60
        succeed(2, name=queue)
        kill(1, name=queue)
        html = get(admin, f"{QUEUES}default/{queue}/")
        if time.time() // 60 == minute:
            break
    for name in ("Wait", "Run"):
        said = re.findall(rf'aria-label="{name}: p50 \S+ m?s, p95 \S+ m?s, p99 \S+ m?s"', html)
        assert len(said) == 1, name
    assert re.search(r'aria-label="Tasks a minute: in 3, succeeded 2, dead 1"', html)
    assert re.search(r"p95 <strong>\S+ m?s</strong>", html)
    assert '<strong class="mb-bad">1</strong>' in html
    assert html.index('id="why"') < html.index("mb-cards")
    html = get(admin, QUEUES)
    assert "Wait p50 / p95" in html
    assert "In a minute</th>" in html
    assert "Out a minute</th>" in html


def test_a_problem_leads_to_what_it_is_about_and_goes_with_it(
    admin: Client, staff: Staff, mails: Queue
) -> None:
    kill(12)
    for url in (QUEUES, MAILS):
        html = get(admin, url)
        assert "has 12 new dead letters of the last 10 minutes." in html
        assert f'href="{DEAD}?backend=default&amp;queue=mails">Dead letters of mails</a>' in html
    seeing = get(staff("view_queue"), QUEUES)
    assert "see manage.py messaging dead list --queue mails" in seeing
    assert "Dead letters of mails" not in seeing
    post(admin, f"{DEAD}act/discard/", **hidden(get(admin, f"{DEAD}act/discard/?all=1")))
    assert "new dead letters" not in get(admin, QUEUES)


def test_no_link_leads_to_a_page_that_one_may_not_open(staff: Staff, mails: Queue) -> None:
    (dead,) = kill(11)[:1]
    enqueue(1)
    beat(mails)
    for name, pages in (
        ("queue", (QUEUES, MAILS, f"{QUEUES}default/default/", WORKERS)),
        ("task", (TASKS, f"{TASKS}?queue=mails&backend=default", f"{TASKS}{dead}/change/", DEAD)),
    ):
        for codenames in ((f"view_{name}",), (f"view_{name}", f"manage_{name}")):
            client = staff(*codenames)
            for page in pages:
                for link in links(get(client, page)):
                    assert client.get(link).status_code != 403, (codenames, page, link)


def test_a_page_that_one_may_not_open_says_what_is_needed(staff: Staff, mails: Queue) -> None:
    html = get(staff("view_queue"), TASKS, 403)
    assert "The permission messaging.view_task is needed." in html
    assert "publish" not in html
    assert ">Live</a>" not in html
    assert ">Live</a>" in get(staff("view_message"), TASKS, 403)


def test_pause_and_resume(admin: Client, mails: Queue) -> None:
    assert admin.get(f"{MAILS}pause/").status_code == 302
    html = post(admin, f"{MAILS}pause/", why="<b>moving</b>")
    assert "by staff" in html
    assert "&lt;b&gt;moving&lt;/b&gt;" in html
    assert claim() == []
    assert "It was paused already." in post(admin, f"{MAILS}pause/")
    assert "Workers take from it again." in post(admin, f"{MAILS}resume/")
    assert logged() == ["Paused: <b>moving</b>", "Resumed."]
    entry = LogEntry.objects.latest("pk")
    assert admin.get(entry.get_admin_url() or "", follow=True).redirect_chain[-1][0] == MAILS


def test_purge_takes_no_more_than_the_question_named(admin: Client, mails: Queue) -> None:
    enqueue(7)
    html = get(admin, f"{MAILS}purge/ready/")
    assert "The 7 ready tasks of mails are removed" in html
    assert "and 2 more" in html
    enqueue(2)
    assert "7 tasks were removed." in post(admin, f"{MAILS}purge/ready/", **hidden(html))
    assert mails.counts().ready == 2
    get(admin, f"{MAILS}purge/running/", 404)


def test_what_removes_says_so(admin: Client, staff: Staff, mails: Queue) -> None:
    enqueue(2)
    succeed(40)
    html = get(admin, f"{MAILS}purge/succeeded/")
    assert 'class="mb-remove" value="Remove 40 succeeded tasks"' in html
    assert "Ended</th>" in html
    assert "Enqueued</th>" in get(admin, f"{MAILS}purge/ready/")
    assert "order_id" in html
    assert not re.search("order_id|/change/", get(staff("manage_queue"), f"{MAILS}purge/succeeded/"))
    kill(1)
    assert 'class="mb-remove"' in get(admin, f"{DEAD}act/discard/?all=1")
    assert "mb-remove" not in get(admin, f"{DEAD}act/retry/?all=1")


def test_each_action_has_its_permission(staff: Staff, mails: Queue) -> None:
    (dead,) = kill(1)
    (ready,) = enqueue(1)
    anybody, seeing = staff(), staff("view_queue", "view_task")
    for url in (QUEUES, MAILS, TASKS, DEAD, WORKERS, f"{TASKS}{dead}/change/"):
        assert anybody.get(url).status_code == 403
        html = get(seeing, url)
        assert not re.search(r"/(retry|discard|pause|purge|cancel)/", html), url
    tasks, queues = staff("view_task", "manage_task"), staff("view_queue", "manage_queue")
    for url in (f"{MAILS}pause/", f"{MAILS}resume/", f"{MAILS}purge/ready/"):
        assert {each.post(url).status_code for each in (anybody, seeing, tasks)} == {403}
    for url in (f"{TASKS}{ready}/cancel/", f"{TASKS}{dead}/retry/", f"{DEAD}act/discard/?all=1"):
        assert {each.post(url).status_code for each in (anybody, seeing, queues)} == {403}
    assert mails.counts().dead == mails.counts().ready == 1


def test_workers(admin: Client, mails: Queue) -> None:
    beat(mails)
    mails.now = mails.counts().now_ms - 60_000
    beat(mails, "host:2:def", pid=2)
    html = get(admin, WORKERS)
    assert "One process works, 1 of 10 slots are busy." in html
    assert "silent" in html


def test_a_worker_is_asked_to_drain(admin: Client, staff: Staff, mails: Queue) -> None:
    unit = "host:0:123"
    for worker, state in (("host:1:abc", "working"), ("host:2:def", "quiet")):
        beat(mails, worker, unit=unit, backend="default", state=state)
    html = get(admin, WORKERS)
    assert "All 2 processes of this worker do so." in html
    (url,) = set(re.findall(r'action="([^"]+/ask/)"', html))
    assert "/ask/" not in get(staff("view_queue"), WORKERS)
    assert staff("view_queue", "manage_task").post(url, {"wish": "end"}).status_code == 403
    html = post(admin, url, wish="stay")
    assert f"Worker {unit} takes no more tasks, and stays." in html
    assert html.count("asked to stay") == 1  # the other process does so already
    assert 'value="stay"' not in html
    assert "asked to go on" in post(admin, url, wish="go on")
    post(admin, url, wish="stay")
    assert heard(mails.client, "default", unit) == Asked(
        "stay", LogEntry.objects.latest("pk").user.get_username()
    )
    post(admin, url, wish="nonsense")
    html = post(admin, url, wish="end")
    assert f"Worker {unit} drains and ends." in html
    assert "asked to end" in html
    assert 'value="end"' not in html
    assert heard(mails.client, "default", unit) == Asked(
        "end", LogEntry.objects.latest("pk").user.get_username()
    )
    stay = "Asked to take no more tasks."
    assert logged() == [stay, "Asked to take tasks again.", stay, "Asked to drain and end."]
    assert "It is not there any more." in post(admin, f"{WORKERS}host:9:xyz/ask/", wish="end")
    assert "no worker takes from it" not in get(admin, QUEUES)


@pytest.mark.django_db
def test_what_has_no_table_is_in_nobodys_way() -> None:
    out = StringIO()
    call_command("dumpdata", "messaging", "--all", stdout=out)
    assert out.getvalue().strip() == "[]"
