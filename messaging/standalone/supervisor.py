"""Parts of a site (server, web, listener) -> run together, restarted when they end, drained at a signal.

One thread and one loop: it passes on what the children say, sees who has ended, and hears the signals. The first INT,
TERM or HUP drains, the second ends everything at once.
"""

from __future__ import annotations

import math
import os
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Self

from messaging.exits import CANNOT_START, DONE, DRAIN_TIMED_OUT, ENDED_AT_ONCE, FAILED, SAME_SIGNAL, STOPPING
from messaging.standalone.child import Child, Part

RESTARTS = 5  # of one part within RESTART_WINDOW seconds; one more ends everything
RESTART_WINDOW = 60.0
SETTLED = 5.0  # seconds after which an end with 0 is an end in order: `messaging drain` asked for it
RESTART_PAUSE = 0.5  # seconds before the first restart, doubled for each further one


@dataclass(slots=True)
class _Watched:
    part: Part
    ends: deque[float] = field(default_factory=deque)  # when it ended by itself, lately
    restart_at: float | None = None
    started_at: float = field(default_factory=time.monotonic)
    renew_by: float | None = None  # it was told to end and start again; killed if it takes longer


class Supervisor:
    """Runs parts until a signal or until one of them cannot be kept alive.

    A context manager: inside it, signals are counted instead of raised. ``say`` gets each line meant for people with
    the name of the part that said it ("" for the supervisor). What was started first is stopped last. ``patient``: a
    part that cannot be kept alive ends nothing, but waits for :meth:`renew`.
    """

    def __init__(
        self, say: Callable[[str, str], None], *, drain_seconds: float, patient: bool = False
    ) -> None:
        self.say = say
        self.drain_seconds = drain_seconds
        self.patient = patient
        self.stopping = False
        self._at_once = False
        self._in_loop = False
        self._last_signal = -SAME_SIGNAL
        self._before: dict[signal.Signals, Any] = {}
        self._stages: list[list[_Watched]] = []
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Self:
        self._wakeup, writer = os.pipe()
        os.set_blocking(writer, False)
        self._selector.register(self._wakeup, selectors.EVENT_READ)
        for number in STOPPING:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # `nohup` is left alone
                self._before[number] = signal.signal(number, self._on_signal)
        self._before[signal.SIGCHLD] = signal.signal(
            signal.SIGCHLD, lambda number, frame: None
        )  # wakes the loop
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        return self

    def __exit__(self, *error: object) -> None:
        os.close(signal.set_wakeup_fd(-1))
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._wakeup)
        self._selector.close()

    def start(self, *parts: Part) -> None:
        """Starts parts; the ones of one call are later stopped together."""
        self._stages.append([])
        for part in parts:
            self._stages[-1].append(_Watched(part))
            self._start(part)

    def run(self, tick: Callable[[], None], *, every: float = 0.25) -> int:
        """Runs until a signal, then drains; calls ``tick`` every ``every`` seconds or sooner. Returns an exit code."""
        self._in_loop = True
        while not self.stopping:
            self._pass_on(every)
            tick()
            if lost := self._look_after(time.monotonic()):
                return self._give_up(lost)
        return self.stop()

    def renew(self, *names: str) -> None:
        """Ends the parts of these names with TERM and starts them again; any that is not running is started now."""
        now = time.monotonic()
        for watched in (each for stage in self._stages for each in stage):
            if watched.restart_at is not None:
                watched.restart_at = now
                watched.ends.clear()
            elif watched.part.name in names and watched.renew_by is None:
                watched.renew_by = now + self.drain_seconds
                watched.part.signal(signal.SIGTERM)

    def stop(self) -> int:
        """Stops all parts, the newest first: TERM, then KILL at the second signal or after ``drain_seconds``."""
        self._in_loop = self.stopping = True
        deadline = time.monotonic() + self.drain_seconds
        code = DONE
        for stage in reversed(self._stages):
            parts = [watched.part for watched in stage]
            for part in parts:
                part.signal(signal.SIGTERM)
            while any(part.alive() for part in parts):
                if self._at_once or time.monotonic() > deadline:
                    code = ENDED_AT_ONCE if self._at_once else DRAIN_TIMED_OUT
                    self._kill(parts)
                    break
                self._pass_on(0.02)
            for part in parts:
                self._hang_up(part)
        self._stages.clear()
        return code

    # -- inside

    def _give_up(self, lost: Part) -> int:
        if _cannot_start(lost):
            self.say("", f"{lost.name} cannot start, see above: giving up")
            self.stop()
            return CANNOT_START
        self.say("", f"{lost.name} {lost.ended()} once more: giving up. It said last:")
        for line in lost.last_words().splitlines():
            self.say(lost.name, line)
        self.stop()
        return FAILED

    def _start(self, part: Part) -> None:
        part.start()
        if isinstance(part, Child):
            self._selector.register(part.output, selectors.EVENT_READ, part)

    def _pass_on(self, seconds: float) -> None:
        """Says what the children said; waits up to ``seconds`` for something to happen."""
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                os.read(self._wakeup, 4096)  # a signal has come: its handler has run
            elif not self._relay(key.data):
                self._selector.unregister(key.fileobj)

    def _relay(self, child: Child) -> bool:
        lines = child.lines()
        for line in lines or ():
            self.say(child.name, line)
        return lines is not None

    def _hang_up(self, part: Part) -> None:
        """Takes the rest of what an ended child said, and closes its pipe."""
        if isinstance(part, Child) and not part.output.closed:
            while part.unread() and self._relay(part):
                pass
            if part.output in self._selector.get_map():
                self._selector.unregister(part.output)
            part.output.close()

    def _look_after(self, now: float) -> Part | None:
        """Restarts what has ended, after a pause; returns the part for which that is no use."""
        for watched in (each for stage in self._stages for each in stage):
            if watched.restart_at is not None:
                if now >= watched.restart_at:
                    watched.restart_at = None
                    watched.started_at = now
                    self._start(watched.part)
            elif watched.part.alive():
                if watched.renew_by is not None and now > watched.renew_by:
                    watched.part.signal(signal.SIGKILL)
            else:
                self._hang_up(watched.part)
                if watched.renew_by is not None:
                    watched.renew_by, watched.restart_at = None, now
                    continue
                while watched.ends and watched.ends[0] < now - RESTART_WINDOW:
                    watched.ends.popleft()
                if _in_order(watched.part) and now - watched.started_at > SETTLED:
                    watched.restart_at = now
                    self.say("", f"{watched.part.name} has drained; starting it again")
                    continue
                watched.ends.append(now)
                count = len(watched.ends)
                hopeless = count > RESTARTS or _cannot_start(watched.part)
                if (
                    self.patient
                    and isinstance(watched.part, Child)
                    and (hopeless or now - watched.started_at < SETTLED)
                ):
                    watched.restart_at = math.inf
                    self.say(
                        "", f"{watched.part.name} {watched.part.ended()}; it waits for a change of the code"
                    )
                    continue
                if hopeless:
                    return watched.part
                pause = RESTART_PAUSE * 2 ** (count - 1)
                watched.restart_at = now + pause
                self.say(
                    "",
                    f"{watched.part.name} {watched.part.ended()}; "
                    f"starting it again in {pause:g} s ({count} of {RESTARTS})",
                )
        return None

    def _kill(self, parts: Iterable[Part]) -> None:
        for part in parts:
            part.signal(signal.SIGKILL)
        deadline = time.monotonic() + 5
        while any(part.alive() for part in parts) and time.monotonic() < deadline:
            self._pass_on(0.01)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._last_signal <= SAME_SIGNAL:
            return
        self._last_signal = now
        self._at_once = self.stopping
        self.stopping = True
        if self._at_once and not self._in_loop:
            raise KeyboardInterrupt  # out of whatever happens before the loop


def _in_order(part: Part) -> bool:
    """Whether it ended because somebody asked it to."""
    return isinstance(part, Child) and part.process is not None and part.process.returncode == DONE


def _cannot_start(part: Part) -> bool:
    """Whether it said by its exit code that another try will not help."""
    return isinstance(part, Child) and part.process is not None and part.process.returncode == CANNOT_START
