"""Sync tasks -> threads, made when they are needed and gone when they are idle."""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from collections.abc import Callable, Sequence

from django.db import close_old_connections, connections

from messaging.taskqueue.worker.held import Held

IDLE_SECONDS = (
    5.0  # a thread that has had nothing to do for so long ends, and its database connections with it
)


class Runner(threading.Thread):
    """One thread; ``held`` is the task that it runs."""

    def __init__(self, body: Callable[[Runner], None]) -> None:
        super().__init__(name="task", daemon=True)
        self._body = body
        self.bell = threading.Lock()
        self.bell.acquire()
        self.held: Held | None = None
        self.rests = 0  # times that it had nothing to do
        self.struck = threading.Lock()  # held while an exception is sent into the thread, or taken back

    def run(self) -> None:
        self._body(self)


class Threads:
    """At most ``most`` threads. ``done`` is called in the thread when a task has ended, whatever it did."""

    def __init__(self, most: int, *, done: Callable[[Held], None]) -> None:
        self._most = most
        self._done = done
        self._lock = threading.Lock()
        self._todo: deque[Held] = deque()
        self._idle: list[Runner] = []
        self._count = 0
        self._waking = False  # a thread has been called and is not here yet: it will call the next one

    def give(self, tasks: Sequence[Held]) -> None:
        """Run these; there is a thread for each, as long as no more than ``most`` run at once."""
        with self._lock:
            self._todo.extend(tasks)
            self._wake_one()

    def take_back(self) -> list[Held]:
        """Tasks that no thread has begun."""
        with self._lock:
            left = list(self._todo)
            self._todo.clear()
            return left

    def interrupt(self, held: Held, error: type[BaseException]) -> bool:
        """Raise ``error`` in the thread that runs this task, at its next step in Python; False if none runs it."""
        runner = held.runner
        if runner is None:
            return False
        if not runner.struck.acquire(timeout=1):
            return False
        try:
            return runner.held is held and _raise_in(runner, error)
        finally:
            runner.struck.release()

    # -- inside

    def _wake_one(self) -> None:
        """One thread at a time is called, and calls the next one before it begins: no thread is woken in vain when
        the tasks are so short that one thread does them all."""
        if not self._todo or self._waking:
            return
        if self._idle:
            self._waking = True
            self._idle.pop().bell.release()
        elif self._count < self._most:
            self._waking = True
            self._count += 1
            Runner(self._work).start()

    def _work(self, me: Runner) -> None:
        called = True
        try:
            while True:
                rests = me.rests
                held = self._next(me, called=called)
                if held is None:
                    return
                called = False
                if me.rests != rests:
                    close_old_connections()  # those that have grown too old meanwhile
                self._run(me, held)
                del held
        finally:
            connections.close_all()

    def _next(self, me: Runner, *, called: bool) -> Held | None:
        """The next task; None when there was none for a while: the thread is no longer counted then."""
        while True:
            with self._lock:
                if called:
                    self._waking = False
                if self._todo:
                    held = self._todo.popleft()
                    self._wake_one()
                    return held
                self._idle.append(me)
                me.rests += 1
            called = me.bell.acquire(timeout=IDLE_SECONDS)
            if not called:
                with self._lock:
                    if me in self._idle:
                        self._idle.remove(me)
                        self._count -= 1
                        return None
                called = me.bell.acquire()  # called at this very moment

    def _run(self, me: Runner, held: Held) -> None:
        """Whatever the task does to its thread ends here."""
        try:
            held.runner, me.held = me, held
            held.run()
        except BaseException:  # sent by interrupt(), at the end of the task
            held.interrupted()
        _disarm(me)
        close_old_connections()
        self._done(held)


def _raise_in(thread: threading.Thread, error: type[BaseException] | None) -> bool:
    """Raise ``error`` in a thread as soon as it runs Python code; None takes back what has not been raised yet.

    https://docs.python.org/3/c-api/threads.html#c.PyThreadState_SetAsyncExc
    """
    what = ctypes.py_object() if error is None else ctypes.py_object(error)
    return bool(ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), what))


def _disarm(me: Runner) -> None:
    """From here on nothing can be raised in this thread from outside."""
    while me.held is not None:
        try:
            with me.struck:
                me.held = None
                _raise_in(me, None)
        except BaseException:  # noqa: S112 - it was on its way
            continue
