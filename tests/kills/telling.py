"""One SQLite file, written by a publisher, a listener and the tasks of two workers at once -> was a message dropped."""

import threading

from django.core.management import call_command
from django.db import connections, transaction

from messaging import publish
from messaging.models import Message
from tests.kills.tasks import TOLD
from tests.processes import Process, plain_environment, python
from tests.waiting import eventually

OURS = "kills.published"


class Telling:
    """A listener, and a thread that publishes in transactions as a web process does, until :meth:`judge`."""

    def __init__(self, environment: dict[str, str]) -> None:
        call_command("migrate", verbosity=0)
        self._listener = Process(python("manage.py", "listen"), env=plain_environment(**environment))
        self._stopping = threading.Event()
        self._committed = 0
        self._errors: list[str] = []
        self._thread = threading.Thread(target=self._publish, daemon=True)
        self._thread.start()

    def judge(self, told: dict[int, int]) -> list[str]:
        """``told``: number of a task that succeeded -> how often it was begun."""
        self._stopping.set()
        self._thread.join(60)
        eventually(
            lambda: not Message.objects.filter(epoch=None).exists(), timeout=120, message="all are stored"
        )
        stored = dict.fromkeys(told, 0)
        for data in Message.objects.filter(channel=TOLD).values_list("payload", flat=True):
            stored[int(data)] = stored.get(int(data), 0) + 1
        broken = [
            f"task {number} said it {stored[number]} times in {times} executions"
            for number, times in told.items()
            if not 1 <= stored[number] <= times
        ]
        if (there := Message.objects.filter(channel=OURS).count()) != self._committed:
            broken.append(f"{self._committed} messages were committed, {there} are stored")
        return [*broken, *self._errors]

    def close(self) -> None:
        """Nothing is left."""
        self._stopping.set()
        self._thread.join(60)
        self._listener.clean_up()
        connections.close_all()

    def _publish(self) -> None:
        while not self._stopping.wait(0.01):
            try:
                with transaction.atomic():
                    publish(OURS, self._committed)
                self._committed += 1
            except Exception as error:
                self._errors.append(f"a transaction failed: {error!r}")
        connections.close_all()
