"""A private server -> `manage.py work` as real processes on it, and what their tasks leave there."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from messaging.taskqueue.job import Job, State
from messaging.taskqueue.queue import Queue
from tests.processes import Process, children_of, plain_environment, python
from tests.servers import TestServer
from tests.taskqueue import worker_tasks
from tests.waiting import PATIENCE, eventually

LEASE_SECONDS = 3.0  # a machine that is busy may hold a process up for a second
STOP_SECONDS = 0.4  # for a task that is told to stop

ENDED = (State.SUCCEEDED, State.DEAD, State.CANCELLED, State.EXPIRED)


class Workshop:
    """A server, and the workers of one test file. Each test uses queues or keys of its own."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="mtk-", dir="/tmp"))
        self.server = TestServer()
        self.started: list[Process] = []
        self.messaging = {"TASK_LEASE_SECONDS": LEASE_SECONDS, "TASK_STOP_SECONDS": STOP_SECONDS}

    def work(self, *arguments: str, tty: bool = False, **env: str) -> Process:
        """``manage.py work ...`` with short leases."""
        base = plain_environment(
            VAR_DIR=str(self.directory),
            REDIS_URL=self.server.url,
            DJANGO_SETTINGS_MODULE="tests.taskqueue.worker_settings",
            MORE_MESSAGING=json.dumps(self.messaging),
        )
        process = Process(python("manage.py", "work", *arguments), env=base | env, tty=tty)
        self.started.append(process)
        return process

    def close(self) -> None:
        """Nothing is left."""
        for process in self.started:
            process.clean_up()
        self.server.remove()
        shutil.rmtree(self.directory, ignore_errors=True)

    # -- what is there

    def queue(self, name: str = "default") -> Queue:
        return Queue(self.server.client(protocol=2), "default", name)

    def job(self, result: Any) -> Job:
        """As it is now."""
        found = self.queue(result.task.queue_name).get(result.id)
        assert found is not None
        return found

    def ended(self, result: Any, timeout: float = PATIENCE) -> Job:
        """As it is once it has ended."""

        def look() -> Job | None:
            job = self.job(result)
            assert job.state in ENDED, f"{job}\n{self.words()}"
            return job

        found = eventually(look, timeout=timeout)
        assert found is not None
        return found

    def marks(self) -> list[str]:
        """What tasks have left, in order."""
        return [each.decode() for each in self.server.client().lrange(worker_tasks.MARKS, 0, -1)]

    def wait_for_mark(self, text: str) -> None:
        eventually(lambda: text in self.marks(), message=f"mark {text!r}; {self.words()}")

    def set(self, key: str) -> None:
        """What ``wait`` waits for."""
        self.server.client().set(key, "1")

    def words(self) -> str:
        """What all workers have said, for a failure."""
        return "\n".join(process.output for process in self.started)


def processes_of(worker: Process) -> list[int]:
    """The worker processes of a supervisor."""
    return [pid for pid, line in children_of(worker.pid).items() if "messaging.taskqueue.worker" in line]
