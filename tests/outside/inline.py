"""Queues -> their jobs, run one after the other in this thread: a worker in burst mode without its processes."""

from messaging.taskqueue.backend import RedisTaskBackend
from messaging.taskqueue.running import begin, run

WORKER = "outside:1:00000000"


def burst(backend: RedisTaskBackend, *names: str) -> int:
    """Run until nothing is ready; how many were run."""
    ran = 0
    for name in names:
        queue = backend.queue(name)
        while claimed := queue.claim(WORKER, 1, lease_ms=60_000):
            outcome = run(begin(backend, name, claimed[0]))
            if outcome is None or queue.settle(WORKER, [outcome]) != [True]:
                raise AssertionError(f"{claimed[0].id} was not settled: {outcome}")
            ran += 1
    return ran
