"""The pages of queues, tasks, dead letters and workers: what they show, what they ask, who may do what."""

import re
from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from messaging.admin import asked, tasks
from messaging.taskqueue.draining import Asked, heard
from messaging.taskqueue.job import State
from messaging.taskqueue.queue import Queue
from messaging.taskqueue.standing import queue
from messaging.testing import run_tasks
from tests.admin.conftest import Staff
from tests.queued import beat, claim, enqueue, kill, succeed
from tests.servers import TestServer

QUEUES, TASKS, DEAD, WORKERS = (
    f"/admin/messaging/{name}/" for name in ("queue", "task", "deadletter", "worker")
)
MAILS = f"{QUEUES}default/mails/"
BACKEND = {"BACKEND": "messaging.taskqueue.RedisTaskBackend", "QUEUES": ["default", "mails"]}


@pytest.fixture
def mails(broker: TestServer, settings: Settings) -> Queue:
    settings.TASKS = {"default": BACKEND}
    return queue("default", "mails")


def get(client: Client, url: str, status: int = 200) -> str:
    response = client.get(url)
    assert response.status_code == status, url
    html = response.content.decode()
    assert "style=" not in html.partition('id="content-main"')[2]
    return html


def post(client: Client, url: str, **data: object) -> str:
    response = client.post(url, data, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def hidden(html: str) -> dict[str, str]:
    """The fields of the confirmation's form."""
    form = html.partition('id="content-main"')[2]
    found = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form))
    del found["csrfmiddlewaretoken"]
    return found


def logged() -> list[str]:
    return [each.change_message for each in LogEntry.objects.order_by("pk")]


def state_of(q: Queue, name: str) -> State:
    job = q.get(name)
    assert job is not None
    return job.state


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
    succeed(2)
    kill(1)
    html = get(admin, MAILS)
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


def links(html: str) -> set[str]:
    """Where a page of ours leads."""
    content = html.partition('id="content-main"')[2].partition('id="footer"')[0]
    return {each.replace("&amp;", "&") for each in re.findall(r'href="(/[^"]+)"', content)}


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


def test_tasks_by_state_and_page(admin: Client, mails: Queue) -> None:
    enqueue(120, args=["<script>"])
    enqueue(1, due_ms=2**42)
    html = get(admin, f"{TASKS}?backend=default&queue=mails&state=ready&p=3")
    assert "Page 3 of 3" in html
    assert html.count("/change/") == 20
    assert "&lt;script&gt;" in html
    assert "<script>" not in html.partition('id="content-main"')[2]
    assert "Page 1 of 1" in get(admin, f"{TASKS}?backend=default&queue=mails&state=delayed&p=9")


def test_a_task_is_found(
    admin: Client, mails: Queue, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"{TASKS}?backend=default&queue=mails&state=ready"
    (bill,) = enqueue(1, task="shop.tasks.bill", args=[{"sku": "Blue-7"}])
    enqueue(3)
    response = admin.get(f"{TASKS}?q=+{bill}+")
    assert (response.status_code, response["Location"]) == (302, f"{TASKS}{bill}/change/")
    for text, count in (("TASKS.bill", 1), ("blue-7", 1), ("order_id", 4), ("nothing", 0)):
        html = get(admin, f"{place}&q={text}")
        assert html.count("/change/") == count, text
        assert ("No ready task of mails matches." in html) is (count == 0)
    assert "were looked at" not in html
    assert "state=dead&amp;q=nothing" in html
    monkeypatch.setattr(tasks, "PER_PAGE", 3)
    html = get(admin, f"{place}&q=order_id")
    assert html.count("/change/") == 3
    assert "there may be more that match" in html
    monkeypatch.setattr(tasks, "SCANNED_WHOLE", 3)
    assert "The first 3 were looked at" in get(admin, f"{place}&q=nothing")
    settings.MESSAGING = settings.MESSAGING | {"REDACT_FIELDS": ["data.**.sku"]}
    assert get(admin, f"{place}&q=blue-7").count("/change/") == 0


def test_a_tasks_page_and_what_can_be_done_there(admin: Client, mails: Queue) -> None:
    (dead,) = kill(1, traceback="Traceback: <lost>", args=[{"sku": "a"}])
    url = f"{TASKS}{dead}/"
    html = get(admin, f"{url}change/")
    assert html.count('class="mb-bar') == 2
    assert "failed, tried again" in html
    assert "Traceback: &lt;lost&gt;" in html
    assert "failed 2 times" in html
    assert "sku" in html
    assert admin.get(f"{url}retry/").status_code == 302
    assert "Retried: back in its queue." in post(admin, f"{url}retry/")
    assert "retried by staff" in get(admin, f"{url}change/")
    assert "It ends without having run" in get(admin, f"{url}cancel/")
    assert "Cancelled." in post(admin, f"{url}cancel/")
    assert "Nothing was changed" in post(admin, f"{url}cancel/")
    assert "removed for good" in get(admin, f"{url}discard/")
    post(admin, f"{url}discard/")
    assert mails.get(dead) is None
    (late,) = enqueue(1, due_ms=2**42)
    assert "Run now" in get(admin, f"{TASKS}{late}/change/")
    post(admin, f"{TASKS}{late}/run/")
    claim()
    assert "Its worker is told to stop it" in get(admin, f"{TASKS}{late}/cancel/")
    post(admin, f"{TASKS}{late}/cancel/")
    assert "to be stopped, wanted by staff" in get(admin, f"{TASKS}{late}/change/")
    assert logged() == [
        *("Retried: back in its queue.", "Cancelled.", "Discarded.", "Made ready before its time."),
        "Cancelled: its worker is told to stop it.",
    ]
    (done,) = succeed(1, result={"sent": True})
    assert "sent" in get(admin, f"{TASKS}{done}/change/")


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


TRACEBACK = """Traceback (most recent call last):
  File "shop/tasks.py", line 7, in charge
ConnectionError: cannot reach <api.shop.example>:443
"""


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
