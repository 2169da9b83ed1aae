"""A virtual environment with the peers -> each as a contender, with the settings under which it is fast and safe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import redis

from benchmarks.tasks.contender import Contender, Failed, Ground, Setting, command
from benchmarks.tasks.stamps import VARIABLE
from tests.processes import Process, plain_environment

NAMES = ("celery", "dramatiq", "huey", "taskiq")
FILL_SECONDS = 300.0
BLOCK = 1000  # keys of one SCAN


def peers(python: Path, ground: Ground) -> list[Contender]:
    """All four, in the order of the table."""
    return [make(python, ground) for make in (_celery, _dramatiq, _huey, _taskiq)]


def _celery(python: Path, ground: Ground) -> Contender:
    client = ground.client
    return _peer(
        "celery",
        (
            _with("--pool solo --prefetch-multiplier 100"),
            _with("--pool solo"),
            _with("--pool prefork --concurrency 1 --prefetch-multiplier 100"),
            _with("--pool threads --concurrency 10 --prefetch-multiplier 10"),
        ),
        "acks_late; JSON, result in Redis; without gossip, mingle, heartbeat",
        ground,
        python,
        "celery -A benchmarks.tasks.with_celery worker --loglevel WARNING "
        "--without-gossip --without-mingle --without-heartbeat",
        done=lambda count: not (client.llen("celery") or client.hlen("unacked")),
        results=lambda: _counted(client, "celery-task-meta-"),
    )


def _dramatiq(python: Path, ground: Ground) -> Contender:
    client = ground.client
    return _peer(
        "dramatiq",
        (
            _with("--threads 8"),
            _with("--threads 8", dramatiq_queue_prefetch="100"),
            _with("--threads 1", dramatiq_queue_prefetch="100"),
            _with("--threads 32"),
        ),
        "acknowledges after the task; JSON, its default middleware, Results in Redis",
        ground,
        python,
        "dramatiq benchmarks.tasks.with_dramatiq --processes 1",
        done=lambda count: not (client.llen("dramatiq:default") or client.hlen("dramatiq:default.msgs")),
        results=lambda: client.dbsize() - _counted(client, "dramatiq:"),
    )


def _huey(python: Path, ground: Ground) -> Contender:
    client = ground.client
    return _peer(
        "huey",
        (
            _with("-k thread -w 1"),
            _with("-k process -w 1"),
            _with("-k thread -w 4"),
            _with("-k thread -w 10"),
        ),
        "RedisHuey has NO acknowledgement: a task whose worker dies is lost; pickle, results of None stored too",
        ground,
        python,
        "huey.bin.huey_consumer benchmarks.tasks.with_huey.huey -q",
        done=lambda count: client.hlen("huey.results.bench") >= count,
        results=lambda: client.hlen("huey.results.bench"),
        acknowledges=False,
    )


def _taskiq(python: Path, ground: Ground) -> Contender:
    client = ground.client
    return _peer(
        "taskiq",
        (
            _with("--max-async-tasks 100", task="anothing"),
            _with("--max-async-tasks 10", task="anothing"),
            _with("--max-async-tasks 100 --no-parse", task="anothing", XREAD_COUNT="500"),
            _with("--max-async-tasks 100"),
        ),
        "RedisStreamBroker, acknowledges when the result is saved; orjson, uvloop, result in Redis",
        ground,
        python,
        "taskiq worker benchmarks.tasks.with_taskiq:broker --workers 1 --log-level WARNING",
        done=lambda count: _stream_done(client),
        results=lambda: client.dbsize() - _counted(client, "taskiq", "autoclaim:"),
    )


def _with(arguments: str, *, task: str = "nothing", **env: str) -> Setting:
    words = [arguments, *(f"{name.lower()}={value}" for name, value in env.items())]
    kind = ["coroutine"] if task == "anothing" else []
    return Setting(" ".join([*words, *kind]), tuple(arguments.split()), env, task)


def _peer(
    name: str,
    settings: tuple[Setting, ...],
    note: str,
    ground: Ground,
    python: Path,
    worker: str,
    *,
    done: Callable[[int], bool],
    results: Callable[[], int],
    acknowledges: bool = True,
) -> Contender:
    env = plain_environment(BENCH_BROKER=str(ground.broker))

    def fill(count: int, task: str) -> float:
        filling = command(python, "-m", "benchmarks.tasks.fill", name, str(count), task, env=env)
        try:
            if filling.wait(FILL_SECONDS):
                raise Failed(f"{name} could not enqueue; it said: {filling.output[-2000:]!r}")
            return float(filling.stdout)
        finally:
            filling.clean_up()

    def work(setting: Setting) -> Process:
        more = {**env, VARIABLE: str(ground.stamps), **setting.env}
        return command(python, "-m", *worker.split(), *setting.arguments, env=more)

    def wrong(count: int) -> str:
        found = results()
        return "" if found == count else f"{found:,} results of {count:,} tasks"

    return Contender(name, settings, note, acknowledges, fill, work, done, wrong)


def _counted(client: redis.Redis, *starts: str) -> int:
    """How many keys start so."""
    heads = tuple(start.encode() for start in starts)
    return sum(1 for key in client.scan_iter(count=BLOCK) if key.startswith(heads))


def _stream_done(client: redis.Redis) -> bool:
    (group,) = client.xinfo_groups("taskiq")
    return group["pending"] == 0 and group["lag"] == 0
