"""From the log to the workers: one task for each event and subscriber, whatever happens in between."""

import threading

import msgspec
import pytest

import messaging
from messaging import connection, cursors, keys
from messaging.conf import conf
from messaging.decoder import decode
from messaging.dispatch import Dispatcher
from messaging.event import Event
from messaging.models import Subscription
from messaging.subscribers import registered, subscribe
from messaging.subscriptions import Subscriptions, forget
from messaging.taskqueue.job import State, Succeeded
from messaging.taskqueue.queue import Queue
from messaging.testing.running import run_tasks, waiting_tasks
from tests.servers import TestServer
from tests.subscribers.conftest import Dispatching

pytestmark = pytest.mark.usefixtures("subscribing")


class Heard:
    """A subscriber that writes down what it is called with."""

    def __init__(self, *patterns: str, name: str = "shop.heard", **options: object) -> None:
        self.events: list[Event] = []

        def heard(event: Event) -> None:
            self.events.append(event)

        subscribe(*patterns, name=name, **options)(heard)  # type: ignore[arg-type]

    @property
    def data(self) -> list[object]:
        return [event.data for event in self.events]


def test_an_event_is_brought_to_each_subscriber_that_wants_it_once(dispatching: Dispatching) -> None:
    orders = Heard("orders.*", "*.created", name="a.orders")
    everything = Heard("*", name="a.everything")
    other = Heard("other", name="a.other")
    dispatcher = dispatching()
    sent = messaging.publish("orders.created", {"id": 1}, key="k")
    dispatching(dispatcher)
    assert len(run_tasks()) == 2
    (event,) = orders.events
    assert event == sent, "the event itself, with its place in the log"
    assert event.location == sent.location
    assert everything.data == [{"id": 1}]
    assert other.data == []


def test_a_dispatch_that_is_repeated_repeats_no_task(dispatching: Dispatching) -> None:
    heard = Heard("c")
    dispatcher = dispatching()
    messaging.publish_many([("c", n) for n in range(5)])
    before = cursors.noted("dispatch", 0)
    dispatching(dispatcher)
    run_tasks()
    assert before is not None
    cursors.note("dispatch", 0, before)  # it died before its position was stored
    again = dispatching()
    assert again.dispatched == 5
    assert run_tasks() == []
    assert heard.data == [0, 1, 2, 3, 4]


def test_an_event_that_its_publisher_sent_twice_is_one_task(dispatching: Dispatching) -> None:
    heard = Heard("c")
    dispatcher = dispatching()
    for _ in range(2):
        messaging.publish("c", 1, id="the same")
    dispatching(dispatcher)
    run_tasks()
    assert heard.data == [1]


def test_a_new_subscriber_begins_now_and_one_that_asks_at_the_start(dispatching: Dispatching) -> None:
    Heard("c", name="a.first")
    dispatching()
    messaging.publish("c", 1)
    dispatching()
    messaging.publish("c", 2)
    late, early = Heard("c", name="a.late"), Heard("c", name="a.early", from_start=True)
    dispatcher = dispatching()
    messaging.publish("c", 3)
    dispatching(dispatcher)
    run_tasks()
    assert late.data == [3]
    assert early.data == [1, 2, 3]
    assert cursors.noted("dispatch", 0) is not None


def test_one_that_reads_from_the_start_goes_on_where_a_listener_ended(
    dispatching: Dispatching, monkeypatch: pytest.MonkeyPatch
) -> None:
    messaging.publish_many([("c", n) for n in range(10)])
    heard = Heard("c", from_start=True)
    client = connection.client()
    dispatcher = Dispatcher(client, 0, Subscriptions(client))
    monkeypatch.setattr(dispatcher, "_count", 3)
    dispatcher.step(threading.Event(), block_ms=1)
    assert len(waiting_tasks()) == 3
    dispatching()
    run_tasks()
    assert heard.data == list(range(10))


def test_events_wait_for_a_subscriber_that_is_not_deployed(dispatching: Dispatching) -> None:
    heard = Heard("c", max_attempts=3)
    dispatching()
    subscriber = registered.pop("shop.heard")
    messaging.publish("c", 1)
    dispatching()
    (ran,) = run_tasks()
    assert not ran.succeeded
    assert heard.data == []
    assert [job.id for job in waiting_tasks()] == [ran.id], "put back, to be offered again"
    registered["shop.heard"] = subscriber
    (ran,) = run_tasks(delayed=True)
    assert ran.succeeded
    assert heard.data == [1]


def test_nothing_is_kept_any_more_for_one_that_was_forgotten(dispatching: Dispatching) -> None:
    Heard("c")
    dispatching()
    registered.clear()
    assert forget("shop.heard")
    assert not forget("shop.heard")
    messaging.publish("c", 1)
    dispatching()
    assert waiting_tasks() == []
    assert cursors.noted("dispatch", 0) is None, "the log is not kept for nobody"


def test_a_changed_subscription_is_written_down(dispatching: Dispatching) -> None:
    Heard("c", queue="mails")
    dispatching()
    first = Subscription.objects.using(conf.DATABASE).get()
    registered.clear()
    Heard("d", max_attempts=7, ordered_by="key")
    dispatching()
    row = Subscription.objects.using(conf.DATABASE).get()
    assert (row.pk, row.since, row.first_seen) == (first.pk, first.since, first.first_seen)
    assert (row.patterns, row.queue, row.ordered_by) == ('["d"]', "default", "key")


def test_events_of_one_key_run_one_after_the_other(dispatching: Dispatching) -> None:
    Heard("c", ordered_by="key")
    dispatcher = dispatching()
    for n, key in enumerate("aabb"):
        messaging.publish("c", n, key=key)
    messaging.publish("c", "no key")
    dispatching(dispatcher)
    queue = Queue(connection.client(), "default", "default")
    claimed = queue.claim("w", 10, lease_ms=1000)
    assert [messaging_data(job.body) for job in claimed] == [0, 2, "no key"]


def test_a_log_that_is_born_anew_is_dispatched_from_its_start(
    broker: TestServer, dispatching: Dispatching
) -> None:
    heard = Heard("c")
    messaging.publish("c", 1)
    dispatcher = dispatching()
    messaging.publish("c", 2)
    dispatching(dispatcher)
    run_tasks()
    broker.client().flushall()
    messaging.publish("c", 3)
    dispatching(dispatcher)
    run_tasks()
    assert heard.data == [2, 3]


def test_a_log_that_only_lost_its_epoch_is_not_dispatched_again(
    broker: TestServer, dispatching: Dispatching
) -> None:
    heard = Heard("c")
    dispatcher = dispatching()
    messaging.publish("c", 1)
    dispatching(dispatcher)
    run_tasks()
    client = broker.client()
    client.delete(
        keys.epoch(0), *Queue(client, "default", "default").keys
    )  # evicted, and forgotten by the queue
    messaging.publish("c", 2)
    dispatching(dispatcher)
    run_tasks()
    assert heard.data == [1, 2]


def test_tasks_that_a_crash_took_out_of_the_queue_are_dispatched_again(
    broker: TestServer, dispatching: Dispatching
) -> None:
    heard = Heard("c")
    dispatcher = dispatching()
    messaging.publish_many([("c", n) for n in range(3)])
    dispatching(dispatcher)
    queue = Queue(connection.client(), "default", "default")
    ids = [job.id for job in waiting_tasks()]
    (done,) = queue.claim("w", 1, lease_ms=60_000)
    queue.settle("w", [Succeeded(done.id, done.token)])
    heard_already = messaging_data(done.body)
    queue.discard(State.READY, ids[1:])  # what Redis had not written to disk
    stand = dispatcher._stand
    assert stand is not None
    dispatcher._stand = stand._replace(run_id="f" * 40)  # the server has been started again
    dispatcher._cursor.move(stand, dispatcher._stand)
    dispatching(dispatcher)
    run_tasks()
    assert (heard_already, heard.data) == (0, [1, 2])


def test_what_is_no_event_is_passed_over(broker: TestServer, dispatching: Dispatching) -> None:
    heard = Heard("*")
    dispatcher = dispatching()
    messaging.publish("c", 1)
    broker.client().xadd(keys.log(0), {"e": b"not an event"})
    messaging.publish("c", 2)
    dispatching(dispatcher)
    run_tasks()
    assert heard.data == [1, 2]


def test_a_second_listener_takes_over_and_the_first_one_moves_nothing(dispatching: Dispatching) -> None:
    Heard("c")
    first = dispatching()
    dispatching()
    messaging.publish("c", 1)
    with pytest.raises(cursors.LostFence):
        dispatching(first)
    with pytest.raises(cursors.LostFence):
        first.reload()


def messaging_data(body: bytes) -> object:
    """The data of the event that a job's body carries."""
    return decode(msgspec.json.decode(body)["args"][0].encode()).data
