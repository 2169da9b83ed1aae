"""Many threads of one process that publish at the same time, as a web server's do, and measure what each call takes."""

import json
import random
import signal
import threading
import time
from pathlib import Path

from messaging import publish
from messaging.errors import BrokerError, BrokerUnavailable
from tests.chaos.ledger import Ledger

LONGEST_PAUSE = 0.02
SLEEP = 0.05


class Crowd:
    """One thread for each ledger; at its end ``times`` holds (start, seconds, outcome) of each call. Another thread
    only sleeps, and tells what the machine adds: outcome "late", and the seconds by which it woke up too late."""

    def __init__(self, ledgers: list[Path], *, times: Path) -> None:
        self._ledgers = ledgers
        self._times = times
        self._calls: list[tuple[float, float, str]] = []
        self._stopping = threading.Event()

    def run(self) -> None:
        """Until SIGTERM."""
        threads = [threading.Thread(target=self._publish, args=(path,)) for path in self._ledgers]
        threads.append(threading.Thread(target=self._sleep))
        signal.signal(signal.SIGTERM, lambda *_: self._stopping.set())
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._times.write_text(json.dumps(self._calls))

    def _sleep(self) -> None:
        while not self._stopping.is_set():
            began, clock = time.time(), time.perf_counter()
            time.sleep(SLEEP)
            self._calls.append((began, time.perf_counter() - clock - SLEEP, "late"))

    def _publish(self, path: Path) -> None:
        ledger, name, n = Ledger(path), path.stem, 0
        while not self._stopping.wait(random.uniform(0, LONGEST_PAUSE)):
            n += 1
            ledger.note("attempt", n, "direct", 0)
            began, outcome = time.time(), "ok"
            clock = time.perf_counter()
            try:
                event = publish(f"w.{name}", {"w": name, "n": n}, id=f"{name}-{n}")
            except BrokerError as error:
                outcome = "unknown" if isinstance(error, BrokerUnavailable) and error.maybe_sent else "fail"
            self._calls.append((began, time.perf_counter() - clock, outcome))
            if outcome == "ok":
                ledger.note("ok", n, event.location)
            elif outcome == "fail":
                ledger.note("fail", n)
