"""The loop of the tutorials, ``for message in pubsub.listen()``, never comes back. What to do about it."""

from collections.abc import Iterator
from threading import Event, Thread

import pytest
from pytest_django import Settings
from redis import Redis

from messaging import background
from messaging.models import Message
from tests.waiting import eventually


def test_the_listening_loop_blocks_whoever_runs_it(redis: Redis) -> None:
    """``pubsub.listen()`` waits for the next message for ever, and what stands behind the loop never runs. In a view
    it would hold the request, at import it would hold the whole site: here a thread has to suffer in our place."""
    pubsub = redis.pubsub()
    pubsub.subscribe("updates")
    heard, came_back = [], Event()

    def tutorial() -> None:
        for message in pubsub.listen():
            heard.append(message["type"])
            if message["data"] == "stop":
                break
        came_back.set()

    Thread(target=tutorial, daemon=True).start()
    eventually(lambda: heard == ["subscribe"])
    assert not came_back.wait(0.2)  # nobody publishes, nothing goes on

    redis.publish("updates", "stop")
    assert came_back.wait(5)


def test_a_thread_of_its_own_lets_the_program_go_on(redis: Redis) -> None:
    """The cure that redis-py brings: ``run_in_thread`` runs the loop beside the program and calls a function for each
    message. It dies of the first lost connection, though, and forgets what it misses."""
    heard = []
    pubsub = redis.pubsub()
    pubsub.subscribe(updates=lambda message: heard.append(message["data"]))
    thread = pubsub.run_in_thread(sleep_time=0.1, daemon=True)
    try:
        redis.publish("updates", "New data available")
        eventually(lambda: heard == ["New data available"])
    finally:
        thread.stop()
        thread.join(5)
        pubsub.close()


@pytest.fixture
def listener_in_the_background(broker: object, settings: Settings) -> Iterator[None]:
    """What ``LISTEN_IN_WEB`` does in each process that serves the site."""
    settings.MESSAGING = settings.MESSAGING | {"LISTEN_IN_WEB": True, "CAPTURE_CHANNELS": ["*"]}
    assert background.start_if_asked()
    yield
    background.stop()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("listener_in_the_background")
def test_our_listener_works_in_the_background_and_forgets_nothing(redis: Redis) -> None:
    """The cure of this project: a listener, as the process ``manage.py listen`` or as a background thread of the site
    by one setting. It outlives lost connections, and what it has heard is a row of the database."""
    eventually(lambda: redis.publish("updates", "is anybody there?"), message="the listener is subscribed")
    redis.publish("updates", "New data available")
    eventually(lambda: Message.objects.filter(channel="updates").count() >= 2)
    assert Message.objects.in_log_order().last().data == "New data available"
