"""The page of tasks on their way from a committed transaction into their queue."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from messaging.admin import pending
from messaging.models import PendingTask
from tests.admin.conftest import Staff
from tests.servers import TestServer

PAGE = "/admin/messaging/pendingtask/"
BACKEND = {"BACKEND": "messaging.taskqueue.RedisTaskBackend"}


def put(number: int, *, age: timedelta = timedelta(minutes=2), **fields: Any) -> PendingTask:
    now = datetime.now(UTC)
    fields = {"look_at": now - age + timedelta(seconds=5)} | fields
    return PendingTask.objects.create(
        job_id=f"default.{number}", backend="default", queue="mails", task=f"shop.tasks.send_{number}",
        body='["secret"]', options="{}", queued_at=now - age, **fields,
    )  # fmt: skip


def html(client: Client, url: str = PAGE) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def test_what_waits_and_why(admin: Client) -> None:
    assert "No task waits for its queue." in html(admin)
    soon = datetime.now(UTC) + timedelta(minutes=9)
    put(1)
    put(2, look_at=soon)
    put(3, sent_at=soon, sends=1, look_at=soon)
    put(4, sent_at=soon, sends=2, resent="lost", look_at=soon)
    put(5, resent="unreadable", look_at=soon)
    page = html(admin)
    for said in (
        "Waiting: 5, the oldest for 2 min",
        "Not sent yet: 3.",
        "1 &times; sent again by the listener: its queue did not have it any more",
        "not sent, and overdue",
        "sent soon by the process that enqueued it",
        "sent once, until its queue says that it has it",
        "sent 2 times, until its queue says that it has it",
        "cannot be read",
        '<a href="/admin/messaging/task/default.4/change/">',
    ):
        assert said in page, said
    assert page.index("send_1") < page.index("send_5")
    assert "default.1/change" not in page, "its queue knows nothing of it"
    assert "secret" not in page
    assert "_selected_action" not in page


def test_a_million_rows_cost_no_more(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "COUNTED", 2)
    monkeypatch.setattr("messaging.taskqueue.waiting.COUNTED", 2)
    monkeypatch.setattr(pending.PendingTaskAdmin, "list_per_page", 1)
    for number in range(4):
        put(number)
    page = html(admin)
    assert "Waiting: 2+" in page
    assert "send_0" in page
    assert "2 pending tasks" in page
    assert admin.get(f"{PAGE}?p=3").status_code == 302, "there are two pages"


def test_the_queues_lead_to_it(admin: Client, staff: Staff, broker: TestServer, settings: Settings) -> None:
    settings.TASKS = {"default": BACKEND}
    said = "On their way into queues, from committed transactions: 1"
    assert said not in html(admin, "/admin/messaging/queue/")
    put(1)
    assert said in html(admin, "/admin/messaging/queue/")
    assert said not in html(staff("view_queue"), "/admin/messaging/queue/")


def test_only_with_the_permission_and_only_to_read(staff: Staff) -> None:
    row = put(1)
    assert staff("view_queue", "view_task").get(PAGE).status_code == 403
    reader = staff("view_pendingtask")
    assert "send_1" in html(reader)
    for path in (f"{row.pk}/change/", f"{row.pk}/delete/", "add/"):
        assert reader.get(f"{PAGE}{path}").status_code in (302, 403), path


def test_a_tasks_page_is_linked_for_those_who_may_view_it(admin: Client, staff: Staff) -> None:
    put(1, sent_at=datetime.now(UTC), sends=1)
    link = 'href="/admin/messaging/task/'
    assert link in html(admin)
    assert link not in html(staff("view_pendingtask")).partition('id="result_list"')[2]


def test_another_database_has_a_list_of_its_own(admin: Client, settings: Settings) -> None:
    put(1)
    assert "By database" not in html(admin)
    settings.TASKS = {"default": BACKEND | {"OPTIONS": {"ENQUEUE_ON_COMMIT": "default"}}}
    assert "By database" not in html(admin), "it is the same"
