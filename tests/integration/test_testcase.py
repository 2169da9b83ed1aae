"""What publish() does inside Django's own TestCase, where no transaction is ever committed."""

import pytest
from django.test import TestCase, TransactionTestCase

import messaging
from messaging import connection, log
from messaging.models import Message


def logged() -> list[object]:
    entries = log.between(connection.client(), 0, log.START, None, count=1000)
    return [entry.event().data for entry in entries]


@pytest.mark.usefixtures("broker")
class TestInsideATestCase(TestCase):
    @classmethod
    def setUpTestData(cls) -> None:
        messaging.publish("c", "of the class")

    def test_a_message_waits_for_a_commit_that_never_comes(self) -> None:
        messaging.publish("c", 1)
        assert [row.data for row in Message.objects.order_by("pk")] == ["of the class", 1]
        assert logged() == []

    def test_the_captured_callbacks_send_what_was_published_in_their_block_and_nothing_else(self) -> None:
        messaging.publish("c", "before")
        with self.captureOnCommitCallbacks(execute=True) as callbacks:
            messaging.publish("c", 1)
            messaging.publish_many([("c", 2), ("c", 3)])
        assert len(callbacks) == 2
        assert logged() == [1, 2, 3]

    def test_each_block_sends_its_own(self) -> None:
        for n in range(3):
            with self.captureOnCommitCallbacks(execute=True):
                messaging.publish("c", n)
        assert logged() == [0, 1, 2]

    def test_callbacks_that_are_captured_and_not_executed_can_be_executed_later(self) -> None:
        with self.captureOnCommitCallbacks() as callbacks:
            messaging.publish("c", 1)
        assert logged() == []
        for callback in callbacks:
            callback()
        assert logged() == [1]

    def test_asked_for_redis_it_is_sent_at_once(self) -> None:
        assert messaging.publish("c", 1, outbox=False).location
        assert logged() == [1]


@pytest.mark.usefixtures("broker")
class TestInsideATransactionTestCase(TransactionTestCase):
    def test_a_message_goes_where_it_goes_in_production(self) -> None:
        assert messaging.publish("c", 1).location
        assert logged() == [1]


@pytest.mark.django_db
@pytest.mark.usefixtures("broker")
def test_the_fixture_of_pytest_django_captures_them_as_well(
    django_capture_on_commit_callbacks: "pytest.FixtureRequest",
) -> None:
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        messaging.publish("c", 1)
    assert logged() == [1]
