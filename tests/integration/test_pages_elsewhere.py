"""Pages of a site whose messages are in another database than its users."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.test import Client

from messaging import rows
from messaging.event import new_event
from messaging.models import Channel, Message

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker")]


def store(alias: str, data: object, *, seq: int) -> Message:
    row = rows.pending_row(new_event("orders.paid", data, source="/tests"), datetime.now(UTC))
    row.queued_at, row.epoch, row.partition, row.log_ms, row.log_seq = (
        None,
        "0" * 16,
        0,
        1_763_765_275_123,
        seq,
    )
    row.save(using=alias)
    return row


def test_they_are_found_there(sqlite: str, admin_user: User) -> None:
    client = Client()
    client.force_login(admin_user)
    Channel.objects.using(sqlite).create(name="orders.paid", first_seen=datetime.now(UTC))
    one, two = store(sqlite, {"id": 17}, seq=0), store(sqlite, {"id": 18}, seq=1)
    assert not Message.objects.exists()
    assert client.get("/messages/channels/").json() == {"channels": ["orders.paid"]}
    page = client.get(f"/messages/{one.pk}/").content.decode()
    assert f"/messages/{two.pk}/" in page  # the next of its channel
    assert client.get(f"/messages/{one.pk}/raw/").content == b'{"id":17}'
    assert client.get(f"/messages/at/{two.location}/").headers["Location"] == f"/messages/{two.pk}/"
    assert b"orders.paid" in client.get("/admin/messaging/channel/").content
