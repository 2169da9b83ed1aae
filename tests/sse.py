"""An event stream's bytes -> events, by the HTML standard; and a client that keeps one open."""

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

import httpx
from httpx_sse import EventSource

from tests.waiting import eventually

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sse:
    """One event as a client dispatches it; ``last_id`` is the client's last event id then."""

    name: str
    data: Any
    last_id: str = ""
    retry: int | None = None


def parse(text: bytes) -> list[Sse]:
    """Every event in a stream that has ended."""
    events, last_id = [], ""
    for block in text.decode().replace("\r\n", "\n").split("\n\n")[:-1]:
        name, data, retry = "message", [], None
        for line in block.split("\n"):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
            elif field == "id":
                last_id = value
            elif field == "retry":
                retry = int(value)
            else:
                assert field == "", f"a line that no client knows: {line!r}"
        if data:
            events.append(Sse(name, json.loads("\n".join(data)), last_id, retry))
    return events


class Listening:
    """A client of a live stream: a thread reads, ``events`` grows. ``with`` ends it."""

    def __init__(
        self,
        client: httpx.Client,
        *channels: str,
        last: int | None = 0,
        since: str | None = None,
        path: str = "/messages/stream",
    ) -> None:
        self.headers = httpx.Headers()
        self.events: list[Sse] = []
        self.ended = False
        self.status = 0
        self._client = client
        self._path = path
        self._query: list[tuple[str, str]] = [("channel", channel) for channel in channels]
        if last is not None:
            self._query.append(("last", str(last)))
        self._headers = {} if since is None else {"Last-Event-ID": since}
        self._response: httpx.Response | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            with self._client.stream(
                "GET",
                self._path,
                params=self._query or None,
                headers=self._headers,
                timeout=httpx.Timeout(5, read=60),
            ) as response:
                self._response, self.status = response, response.status_code
                self.headers = response.headers
                for event in EventSource(response).iter_sse():
                    self.events.append(Sse(event.event, event.json(), event.id, event.retry))
        except (httpx.TransportError, httpx.StreamClosed):
            pass
        finally:
            self.ended = True

    def __enter__(self) -> "Listening":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """The client leaves."""
        if self._response is not None and not self.ended:
            stream = self._response.extensions["network_stream"]
            sock = stream.get_extra_info("socket")
            try:
                sock.shutdown(2)
            except OSError:
                pass
        self._thread.join(5)
        self._client.close()

    def named(self, name: str) -> list[Sse]:
        return [event for event in list(self.events) if event.name == name]

    @property
    def messages(self) -> list[Any]:
        """The data of message events, ``{"at": ..., "event": ...}``."""
        return [event.data for event in self.named("message")]

    @property
    def payloads(self) -> list[Any]:
        """What the publishers published."""
        return [message["event"]["data"] for message in self.messages]

    @property
    def last_id(self) -> str:
        return self.events[-1].last_id

    def until(self, condition: Callable[["Listening"], T]) -> T:
        """Waits for ``condition(self)``, which may ask for an event that has not come yet."""

        def met() -> T:
            value = None
            with suppress(LookupError):
                value = condition(self)
            if not value and self.ended:
                raise RuntimeError(f"the stream ended ({self.status}) with {self.events[-3:]}")
            assert value, f"{value}, after {len(self.events)} events, the last of them {self.events[-5:]}"
            return value

        return eventually(met, message="on the stream")

    def live(self) -> "Listening":
        """Waits for the ``live`` event."""
        self.until(lambda self: self.named("live"))
        return self
