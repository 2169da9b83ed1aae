"""An address -> the moment when its ``/readyz`` answers 200, and until then what it waits for."""

from __future__ import annotations

import http.client
import json
import threading
import time

ASK_EVERY = 0.03  # seconds; a question costs the site a few milliseconds
ANSWER_WITHIN = 5.0
PATIENCE = 10.0  # seconds after which a site that is not ready is worth a line, and again


class Readiness(threading.Thread):
    """Asks until the answer is yes; ``host`` is what the request's Host header says."""

    def __init__(self, address: tuple[str, int], *, host: str) -> None:
        super().__init__(name="readiness", daemon=True)
        self.address = address
        self.host = host
        self.waiting_for = "the web server"
        self._ready = threading.Event()
        self._stop = threading.Event()
        self._told = False
        self._complain_at = time.monotonic() + PATIENCE

    def run(self) -> None:
        while not self._stop.wait(ASK_EVERY):
            try:
                self.waiting_for = self._ask()
            except (OSError, ValueError, http.client.HTTPException) as error:
                self.waiting_for = f"the web server ({type(error).__name__})"
            if not self.waiting_for:
                self._ready.set()
                return

    def stop(self) -> None:
        """Asks no more."""
        self._stop.set()

    def news(self) -> bool:
        """True once: at the first call after it became ready."""
        if self._told or not self._ready.is_set():
            return False
        self._told = True
        return True

    def overdue(self) -> str:
        """What it waits for, each time that PATIENCE seconds have passed; else empty."""
        now = time.monotonic()
        if self._ready.is_set() or now < self._complain_at:
            return ""
        self._complain_at = now + PATIENCE
        return self.waiting_for

    def _ask(self) -> str:
        """Empty when ready, else the reasons."""
        client = http.client.HTTPConnection(*self.address, timeout=ANSWER_WITHIN)
        try:
            client.request("GET", "/readyz", headers={"Host": self.host})
            response = client.getresponse()
            body = response.read()
        finally:
            client.close()
        if response.status in (200, 404):  # a site without that page: then who answers is ready
            return ""
        if response.status != 503:
            return f"/readyz, which answers {response.status}"
        parts = json.loads(body)["parts"]
        parts.pop("workers", None)  # they are started when everything else is ready
        return "; ".join(f"{part}: {word}" for part, word in parts.items() if word != "ok")
