"""A seed -> a server, two workers, thousands of tasks, and somebody who kills: what the checker judges."""

import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from messaging import connection
from messaging.conf import forget
from messaging.taskqueue.job import Job
from messaging.taskqueue.queue import Queue
from tests.chaos.proxy import Proxy
from tests.kills import newer, tasks
from tests.kills.checker import Claim, Findings, check
from tests.kills.ledger import VARIANT, Death, read
from tests.kills.telling import Telling
from tests.processes import Process, plain_environment, python
from tests.servers import TestServer
from tests.taskqueue.audit import audit
from tests.taskqueue.workers import processes_of
from tests.waiting import eventually

WORKERS = 2
PROCESSES = 2
CONCURRENCY = 8
PATIENCE = 120.0  # seconds for the last tasks to end

KINDS = ("child",) * 12 + ("supervisor",) * 4 + ("machine",) * 4
OTHERS = ("pause", "redis", "deploy", "link")  # frozen, server killed, restarted in order, cut off
OLD_RELEASE = "old"  # no kill: one of the workers does not know some of the tasks
SQLITE = "sqlite"  # no kill: a listener, a publisher and tasks write one file
SILENT_SECONDS = 16.0  # of a pause or a stalled link: more than a lease and a sweep


@dataclass(slots=True)
class Result:
    """One seed."""

    seed: int
    kills: dict[str, int]
    findings: Findings
    seconds: float
    words: str


class World:
    """A context manager. The settings have to name no server yet: it points them to its own."""

    def __init__(
        self,
        seed: int,
        *,
        count: int,
        rounds: int,
        kinds: Sequence[str] = KINDS,
        patience: float = PATIENCE,
        in_time: bool = True,
    ) -> None:
        self._random = random.Random(seed)
        self._seed, self._count, self._rounds = seed, count, rounds
        self._patience, self._in_time = patience, in_time
        self._directory = Path(tempfile.mkdtemp(prefix="mtx-", dir="/tmp"))
        self._ledger = self._directory / "ledger"
        self._ledger.touch()
        self._server = TestServer()
        self._workers: list[Process] = []
        self._gone: list[Process] = []
        self._deaths: list[Death] = []
        self._kinds = [kind for kind in kinds if kind not in (OLD_RELEASE, SQLITE)]
        self._with_table = SQLITE in kinds
        self._telling: Telling | None = None
        self._tell: set[int] = set()
        self._with_old = OLD_RELEASE in kinds
        self._proxies = [Proxy(self._server.port) for _ in range(WORKERS)] if "link" in kinds else []
        self._kills = dict.fromkeys(("child", "supervisor", "machine", *OTHERS, "suicide"), 0)
        self._broken: list[str] = []
        self._ids: dict[int, str] = {}
        self._poison: list[int] = []
        self._failing: dict[int, int] = {}  # task -> how often
        self._claims: dict[int, list[Claim]] = {}

    def __enter__(self) -> "World":
        from django.conf import settings

        settings.MESSAGING = settings.MESSAGING | {"URL": self._server.url}
        forget()
        connection.reset()
        self._queue = Queue(connection.client(), "default", "default")
        if self._with_table:
            self._telling = Telling(self._environment(0))
        for index in range(WORKERS):
            self._workers.append(self._start(index))
        return self

    def __exit__(self, *error: object) -> None:
        for process in (*self._workers, *self._gone):
            process.clean_up()
        if self._telling is not None:
            self._telling.close()
        for proxy in self._proxies:
            proxy.close()
        connection.reset()
        self._server.remove()
        shutil.rmtree(self._directory, ignore_errors=True)

    def run(self) -> Result:
        """Enqueue, kill, wait, judge."""
        began = time.monotonic()
        share, more = divmod(self._count, self._rounds)
        for number in range(self._rounds):
            for worker in self._workers:
                eventually(lambda at=worker: claiming(at) >= PROCESSES, timeout=90)
            written = self._ledger.stat().st_size
            self._enqueue(share + (number < more), with_poison=number == self._rounds // 2)
            eventually(lambda at=written: self._ledger.stat().st_size > at, timeout=60)
            time.sleep(self._random.uniform(0.0, 0.3))  # not to wait for something, but to strike anywhere
            self._kill(self._kinds[number % len(self._kinds)])
        states = self._wait_for_the_end()
        executions, suicides = read(self._ledger)
        self._kills["suicide"] = len(suicides)
        findings = check(
            executions,
            [*self._deaths, *suicides],
            states,
            poison=self._poison,
            failing=self._failing,
            claims=self._claims,
            in_time=self._in_time,
        )
        if self._telling is not None:
            begun = Counter(each.task for each in executions)  # one that was killed may have committed
            findings.broken += self._telling.judge(
                {n: begun[n] for n in self._tell if states[n] == "succeeded"}
            )
        findings.broken += [*self._broken, *self._audit()]
        said = "\n".join(process.output for process in (*self._gone, *self._workers))
        words = "\n".join(line for line in said.splitlines() if "failed in attempt" not in line)
        return Result(self._seed, self._kills, findings, time.monotonic() - began, words)

    # -- inside

    def _start(self, index: int) -> Process:
        arguments = ("--json", "--processes", str(PROCESSES), "--concurrency", str(CONCURRENCY))
        return Process(
            python("manage.py", "work", *arguments), env=plain_environment(**self._environment(index))
        )

    def _environment(self, index: int) -> dict[str, str]:
        environment = dict(
            VAR_DIR=str(self._directory),
            REDIS_URL=self._proxies[index].url if self._proxies else self._server.url,
            **({newer.RELEASE: newer.OLD} if self._with_old and index else {}),
            DJANGO_SETTINGS_MODULE="tests.kills.kills_settings",
            **{tasks.LEDGER: str(self._ledger), VARIANT: os.environ[VARIANT]},
        )
        if self._with_table:
            environment["DATABASE_URL"] = os.environ["DATABASE_URL"]
        return environment

    def _enqueue(self, count: int, *, with_poison: bool) -> None:
        first = len(self._ids)
        calls: dict[object, list[tuple[object, ...]]] = {}
        for number in range(first, first + count):
            draw = self._random.random()
            if with_poison and number == first + count // 2:
                self._poison.append(number)
                calls.setdefault(tasks.poison, []).append((number,))
            elif self._with_old and draw < 0.004:
                calls.setdefault(newer.added, []).append((number,))
            elif self._with_table and draw > 0.9:
                self._tell.add(number)
                calls.setdefault(tasks.tell, []).append((number,))
            elif draw < 0.005:
                calls.setdefault(tasks.work, []).append((number, self._random.uniform(1.0, 3.0)))
            elif draw < 0.03:
                self._failing[number] = 1
                calls.setdefault(tasks.flaky, []).append((number,))
            elif draw < 0.2:
                calls.setdefault(tasks.awork, []).append((number, self._random.expovariate(100)))
            else:
                calls.setdefault(tasks.work, []).append((number, self._random.expovariate(200)))
        for task, arguments in calls.items():
            for each, result in zip(arguments, task.enqueue_many(arguments), strict=True):  # type: ignore[attr-defined]
                self._ids[int(str(each[0]))] = result.id

    def _kill(self, kind: str) -> None:
        index = self._random.randrange(WORKERS)
        worker = self._workers[index]
        children = processes_of(worker)
        self._kills[kind] += 1
        if kind in OTHERS:
            getattr(self, f"_{kind}")(index, [worker.pid, *children])
            return
        victims = {
            "child": [self._random.choice(children)] if children else [],
            "supervisor": [worker.pid],
            "machine": [worker.pid, *children],
        }[kind]
        for pid in victims:
            before = time.time()
            os.kill(pid, signal.SIGKILL)
            if pid != worker.pid:
                self._deaths.append(Death(pid, before, time.time(), kind))
        if kind != "child":
            worker.popen.wait(10)
            self._gone.append(worker)
            self._workers[index] = self._start(index)

    def _silent(self, kind: str, pids: Sequence[int], began: float) -> None:
        time.sleep(SILENT_SECONDS)  # so long it lasts: others take its tasks meanwhile
        self._deaths += [Death(pid, began, time.time() + 1.0, kind) for pid in pids[1:]]

    def _pause(self, index: int, pids: Sequence[int]) -> None:
        began = time.time()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        self._silent("pause", pids, began)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

    def _link(self, index: int, pids: Sequence[int]) -> None:
        began = time.time()
        self._proxies[index].fault = "stall"
        self._silent("link", pids, began)
        self._proxies[index].fault = ""

    def _redis(self, index: int, pids: Sequence[int]) -> None:
        self._server.kill()
        self._server.start()

    def _deploy(self, index: int, pids: Sequence[int]) -> None:
        worker = self._workers[index]
        worker.signal(signal.SIGTERM)
        if (code := worker.wait(60)) != 0:
            self._broken.append(f"a worker that was told to drain ended with {code}")
        self._gone.append(worker)
        self._workers[index] = self._start(index)

    def _wait_for_the_end(self) -> dict[int, str]:
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline:
            counts = self._queue.counts()
            if not counts.ready + counts.running + counts.delayed:
                break
            time.sleep(0.2)
        states: dict[int, str] = {}
        numbers = list(self._ids)
        for start in range(0, len(numbers), 500):
            part = numbers[start : start + 500]
            jobs = self._queue.get_many([self._ids[number] for number in part])
            states |= {n: job.state if job else "gone" for n, job in zip(part, jobs, strict=True)}
            self._claims |= {n: claims_of(job) for n, job in zip(part, jobs, strict=True) if job}
        return states

    def _audit(self) -> list[str]:
        try:
            audit(self._queue, alone=not self._with_table)
        except AssertionError as error:
            return [f"the queue is not in order: {str(error)[:300]}"]
        return []


def claims_of(job: Job) -> list[Claim]:
    """Who had it."""
    return [
        Claim(int(each.worker.split(":")[-2]), each.began_ms / 1000, each.outcome) for each in job.attempts
    ]


def claiming(worker: Process) -> int:
    """How many of its processes claim tasks, by its latest report."""
    lines = worker.stdout.splitlines()
    return int(json.loads(lines[-1])["processes"]) if lines and lines[-1].endswith("}") else 0
