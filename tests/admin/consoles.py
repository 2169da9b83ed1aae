"""Addresses of the pages of queues, tasks, dead letters and workers; how tests read them and answer their questions."""

import re

from django.contrib.admin.models import LogEntry
from django.test import Client

from messaging.taskqueue.job import State
from messaging.taskqueue.queue import Queue

QUEUES, TASKS, DEAD, WORKERS = (
    f"/admin/messaging/{name}/" for name in ("queue", "task", "deadletter", "worker")
)
MAILS = f"{QUEUES}default/mails/"
BACKEND = {"BACKEND": "messaging.taskqueue.RedisTaskBackend", "QUEUES": ["default", "mails"]}


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


def links(html: str) -> set[str]:
    """Where a page of ours leads."""
    content = html.partition('id="content-main"')[2].partition('id="footer"')[0]
    return {each.replace("&amp;", "&") for each in re.findall(r'href="(/[^"]+)"', content)}
