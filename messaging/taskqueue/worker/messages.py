"""Supervisor <-> process: one line of JSON a message, over a socket that neither side waits for."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Generic, Literal, TypeVar

import msgspec

from messaging.taskqueue.job import Claim
from messaging.taskqueue.worker.plan import Plan


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is told at its start."""

    plan: Plan
    mark: str  # last part of its worker id
    budget: int  # tasks that it may begin; 0: no end
    python_path: str | None  # PYTHONPATH as it was
    quiet: bool = False  # it begins without claiming


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The process has loaded everything and begins to claim."""


class Holding(msgspec.Struct, frozen=True, array_like=True):
    """One claimed job."""

    id: str
    token: int
    queue: str
    task: str
    timeout_ms: int

    @property
    def claim(self) -> Claim:
        """As of the job."""
        return self.id, self.token


class Took(msgspec.Struct, frozen=True, tag="took"):
    """Jobs that are ours since now. Sent before any of them begins."""

    jobs: list[Holding]


class Waits(msgspec.Struct, frozen=True, tag="waits"):
    """Of what it took, these have not begun: should the process die, it was not they who killed it."""

    claims: list[Claim]


class Begins(msgspec.Struct, frozen=True, tag="begins"):
    """One of those that waited."""

    claim: Claim


class Gave(msgspec.Struct, frozen=True, tag="gave"):
    """Jobs that are settled in Redis."""

    claims: list[Claim]
    succeeded: int = 0
    failed: int = 0
    retried: int = 0
    released: int = 0


class Feels(msgspec.Struct, frozen=True, tag="feels"):
    """What is wrong with the world as the process sees it; "" when it is well."""

    failure: str
    detail: str = ""


class Retiring(msgspec.Struct, frozen=True, tag="retiring"):
    """It claims no more and ends after its tasks: another process is wanted."""

    reason: str


class Loaded(msgspec.Struct, frozen=True, tag="loaded"):
    """Files that its code came from, those of the last message aside."""

    files: list[str]


class Renewed(msgspec.Struct, frozen=True, tag="renewed"):
    """The supervisor has just renewed all leases that it knows of: a process that does not hear it for long renews its
    own."""


class Halt(msgspec.Struct, frozen=True, tag="halt"):
    """End these tasks: they are another worker's now (``lost``), or nobody wants them (``cancelled``)."""

    claims: list[Claim]
    why: Literal["lost", "cancelled"]


class Drain(msgspec.Struct, frozen=True, tag="drain"):
    """Claim no more, end after the tasks that run; ``now``: end without them, they will be handed back."""

    now: bool = False


class Quiet(msgspec.Struct, frozen=True, tag="quiet"):
    """Claim no more until it is taken back, and do not end."""

    on: bool


FromProcess = Ready | Took | Waits | Begins | Gave | Feels | Retiring | Loaded
FromSupervisor = Renewed | Halt | Drain | Quiet

_encode = msgspec.json.Encoder().encode
from_process = msgspec.json.Decoder(FromProcess)
from_supervisor = msgspec.json.Decoder(FromSupervisor)


Incoming = TypeVar("Incoming")


class Channel(Generic[Incoming]):
    """One end. Sending is safe from any thread and never waits: what the socket does not take is kept for later."""

    def __init__(self, end: socket.socket, decoder: msgspec.json.Decoder[Incoming]) -> None:
        self._socket = end
        self._decoder = decoder
        self._lock = threading.Lock()
        self._unsent = bytearray()
        self._unread = b""
        self.gone = False  # the other side is
        end.setblocking(False)

    def fileno(self) -> int:
        """For selectors; -1 once it is closed."""
        return self._socket.fileno()

    def send(self, message: FromProcess | FromSupervisor) -> None:
        """To the other side, which may be gone: then nothing happens."""
        with self._lock:
            self._unsent += _encode(message) + b"\n"
            self._push()

    def flush(self) -> None:
        """Sends what was kept; call it now and then."""
        if self._unsent:
            with self._lock:
                self._push()

    def receive(self) -> list[Incoming]:
        """The messages that have come; ``gone`` is set at the end of the last one."""
        parts = [self._unread]
        with suppress(BlockingIOError, OSError):
            while chunk := self._socket.recv(65536):
                parts.append(chunk)
            self.gone = True
        *lines, self._unread = b"".join(parts).split(b"\n")
        return [self._decoder.decode(line) for line in lines]

    def close(self) -> None:
        """The other side sees the end."""
        self._socket.close()

    def _push(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self.gone = True
            self._unsent.clear()
