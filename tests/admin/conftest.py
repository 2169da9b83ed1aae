"""Fixtures of the admin's tests: who is logged in, and which rows there are.

staff      `staff("view_message", ...)`: a client of a member of staff with these permissions of the app
admin      a client of the superuser
mails      a queue of the broker, beside another one: ``default``
row        `row("orders.created", {"id": 1}, late=...)`: a stored message; `pending=True`: one of the outbox
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import Settings

from messaging import rows
from messaging.event import Event, new_event
from messaging.models import Channel, Message
from messaging.taskqueue.queue import Queue
from messaging.taskqueue.standing import queue
from tests.admin.consoles import BACKEND
from tests.servers import TestServer

Staff = Callable[..., Client]
Row = Callable[..., Message]

_numbers = count(1)


@pytest.fixture
def staff(db: None) -> Staff:
    def make(*codenames: str, **fields: Any) -> Client:
        user = User.objects.create_user(f"staff{next(_numbers)}", is_staff=True, **fields)
        wanted = Permission.objects.filter(content_type__app_label="messaging", codename__in=codenames)
        assert len(wanted) == len(codenames)
        user.user_permissions.set(wanted)
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def admin(staff: Staff) -> Client:
    return staff(is_superuser=True)


@pytest.fixture
def row(db: None) -> Row:
    def make(
        channel: str = "orders.created",
        data: Any = None,
        *,
        pending: bool = False,
        age: timedelta = timedelta(),
        late: timedelta = timedelta(milliseconds=20),
        event: Event | None = None,
        **attributes: Any,
    ) -> Message:
        now = datetime.now(UTC)
        if event is None:
            payload = {"id": 1} if data is None else data
            event = new_event(channel, payload, source="/tests", time=now - age, **attributes)
        made = rows.pending_row(event, now - age)
        if not pending:
            made.queued_at = None
            made.epoch, made.partition = "e" * 16, 0
            made.log_ms, made.log_seq = int((now - age).timestamp() * 1000), next(_numbers)
            made.stored_at = made.time + late
            Channel.objects.get_or_create(name=event.channel, defaults={"first_seen": now})
        made.save()
        return made

    return make


@pytest.fixture
def mails(broker: TestServer, settings: Settings) -> Queue:
    settings.TASKS = {"default": BACKEND}
    return queue("default", "mails")
