"""The pages of tasks: lists by state, a search, one of them and what can be done with it."""

import pytest
from django.test import Client
from pytest_django import Settings

from messaging.admin import tasks
from messaging.taskqueue.queue import Queue
from tests.admin.consoles import TASKS, get, logged, post
from tests.queued import claim, enqueue, kill, succeed


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


@pytest.mark.parametrize(
    ("options", "says", "fact"),
    [
        ({"limit_key": "API", "limit": 1}, "no room under its limit: API", "1 (API)"),
        ({"order_key": "account 7"}, "behind another one of its key: account 7", "account 7"),
        (
            {"rate_key": "API", "rate_us": 600_000_000, "burst": 1},
            "waits for its turn by its rate: API",
            "one each 10 min (API)",
        ),
    ],
)
def test_why_a_task_that_is_ready_does_not_begin(
    admin: Client, mails: Queue, options: dict[str, object], says: str, fact: str
) -> None:
    _, second = enqueue(2, **options)
    assert len(claim(2)) == 1
    assert mails.claim("host:2:abc", 2, lease_ms=10_000) == []
    html = get(admin, f"{TASKS}{second}/change/")
    assert says in html
    assert fact in html
    assert says in get(admin, f"{TASKS}?backend=default&queue=mails&state=ready")
