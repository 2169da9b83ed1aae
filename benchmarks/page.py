"""The live page with 10,000 messages -> how smoothly it scrolls, and what 500 messages a second cost it.

    make bench-page        a table on stdout, JSON in benchmarks/results/; 1 when a figure misses its bound

CPU is that of the page's main thread, which draws and runs scripts: it does not depend on what else the machine does.
The gaps between frames and the long tasks (over 50 ms, as the browser reports them) do: they are told and not judged.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.columns import lines, number

MESSAGES = 10_000
RATE = 500  # messages a second
SECONDS = 20.0
RESULTS = Path(__file__).resolve().parent / "results"

WATCH = """() => {
    window.gaps = []; window.long = [];
    let last = performance.now();
    const frame = (now) => { gaps.push(now - last); last = now; requestAnimationFrame(frame); };
    requestAnimationFrame(frame);
    new PerformanceObserver((list) => { for (const { duration } of list.getEntries()) long.push(duration); })
        .observe({ entryTypes: ["longtask"] });
}"""
TAKE = """() => {
    const sorted = gaps.splice(0).slice(1).sort((a, b) => a - b);
    const tasks = long.splice(0);
    const [p50, worst] = [sorted[sorted.length >> 1] ?? 0, sorted.at(-1) ?? 0];
    return { frames: sorted.length, p50, worst, long: tasks.length, longest: Math.max(0, ...tasks) };
}"""
SCROLL = """([by, frames]) => new Promise((done) => {
    const list = document.getElementById("rows");
    const step = () => { list.scrollTop += by; requestAnimationFrame(--frames ? step : done); };
    step();
})"""
ROWS = "() => document.querySelectorAll('.row').length"


class Figure(NamedTuple):
    name: str
    value: float
    unit: str
    bound: float | None = None

    @property
    def missed(self) -> bool:
        return self.bound is not None and self.value > self.bound

    @property
    def verdict(self) -> str:
        return "" if self.bound is None else "MISSED" if self.missed else "ok"


def table(figures: Sequence[Figure]) -> str:
    """One line a figure."""
    rows = [("figure", "measured", "bound", "ok")]
    for each in figures:
        bound = "" if each.bound is None else f"<= {each.bound:g} {each.unit}".rstrip()
        rows.append((each.name, number(each.value, each.unit), bound, each.verdict))
    return "\n".join(lines(rows, left=(0, len(rows[0]) - 1)))


class Watched:
    """A page whose frames, long tasks and CPU seconds are taken down."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self._session = page.context.new_cdp_session(page)
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.evaluate(WATCH)

    def cpu(self) -> float:
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))

    def during(self, act: Callable[[], Any]) -> dict[str, float]:
        """What the page did meanwhile: seconds, CPU seconds, frames, gaps between them and long tasks in ms."""
        self.page.evaluate(TAKE)
        began, cpu = time.monotonic(), self.cpu()
        act()
        took = {"seconds": time.monotonic() - began, "cpu": self.cpu() - cpu}
        return took | self.page.evaluate(TAKE)


def measure(publish: Callable[[int], None], page: Any) -> list[Figure]:
    """``publish(n)`` publishes n messages; the page is live."""
    watched = Watched(page)
    found: list[Figure] = []

    def fill() -> None:
        for _ in range(MESSAGES // 500):
            publish(500)
        text = f"{MESSAGES:,}"
        page.wait_for_function(
            "(text) => document.getElementById('foot-shown').textContent.startsWith(text)",
            arg=text,
            timeout=120_000,
        )

    burst = watched.during(fill)
    found += [
        Figure("10,000 at once: CPU", burst["cpu"], "s", 6.0),
        Figure("10,000 at once: rows in the document", page.evaluate(ROWS), "", 1000),
    ]

    found += _steady(watched, publish)

    page.locator("#rows").hover()
    page.mouse.wheel(0, 300)
    while page.evaluate(ROWS) < MESSAGES - 1000:  # all of them are drawn as the reader comes to them
        page.evaluate(SCROLL, [3000, 3])
    # 60 frames a second by the wheel; 30 while the scroll bar is dragged, 54,000 pixels a second.
    for name, by, bound in (
        ("up, 100 px a frame", -100, 16.0),
        ("up, 900 px a frame", -900, 33.0),
        ("down, 100 px a frame", 100, 16.0),
    ):
        took = watched.during(lambda by=by: page.evaluate(SCROLL, [by, 100]))
        found += [
            Figure(f"10,000 rows, {name}: CPU a frame", took["cpu"] * 10, "ms", bound),
            Figure(f"10,000 rows, {name}: time a frame, median", took["p50"], "ms"),
            Figure(f"10,000 rows, {name}: longest frame", took["worst"], "ms"),
        ]
    found.append(Figure("rows in the document while scrolling", page.evaluate(ROWS), "", MESSAGES + 1000))
    return found


def _steady(watched: Watched, publish: Callable[[int], None]) -> list[Figure]:
    """500 a second, and a reader who clicks meanwhile."""
    page = watched.page
    stop = threading.Event()

    def load() -> None:
        began, sent = time.monotonic(), 0
        while not stop.is_set():
            publish(25)
            sent += 25
            stop.wait(max(0.0, began + sent / RATE - time.monotonic()))

    answers: list[float] = []

    def click() -> None:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            page.wait_for_timeout(2000)  # each click draws all rows in sight anew
            answers.append(page.evaluate(CLICK))

    thread = threading.Thread(target=load)
    thread.start()
    try:
        took = watched.during(click)
    finally:
        stop.set()
        thread.join()
    answers.sort()
    return [
        Figure("500 a second: main thread busy", took["cpu"] / took["seconds"] * 100, "%", 60.0),
        Figure("500 a second: frames a second", took["frames"] / took["seconds"], ""),
        Figure("500 a second: longest frame", took["worst"], "ms"),
        Figure("500 a second: tasks over 50 ms", took["long"], ""),
        Figure("500 a second: from click to drawing, median", answers[len(answers) // 2], "ms"),
        Figure("500 a second: from click to drawing, longest", answers[-1], "ms"),
        Figure("500 a second: rows in the document", page.evaluate(ROWS), "", 1000),
    ]


# A click takes its turn among what the page has to do, as a reader's does; answered when the next frame shows it.
CLICK = """() => new Promise((done) => {
    const began = performance.now();
    setTimeout(() => {
        document.getElementById("wrap").click();
        requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)));
    });
})"""


def main(arguments: Sequence[str] = ()) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    from playwright.sync_api import sync_playwright

    from benchmarks.machine import machine
    from messaging import publish_many
    from tests import browser
    from tests.sites import make_database, running_site

    path = browser.chromium_path()
    if path is None:
        print("There is no Chromium here.", file=sys.stderr)
        return 1
    directory = Path(tempfile.mkdtemp(prefix="mtp-", dir="/tmp"))
    try:
        with (
            running_site(make_database(directory / "a"), directory / "b") as site,
            sync_playwright() as playwright,
        ):
            _point_at(site.broker.url)
            chromium = browser.launch(playwright, path)
            try:
                page = browser.open_page(
                    chromium, site, browser.Console(), viewport={"width": 1440, "height": 900}
                )
                page.set_default_timeout(120_000)
                page.goto("/messages/")
                page.wait_for_selector("#state[data-state=live]")
                numbers = iter(range(10**9))
                figures = measure(lambda n: publish_many(_messages(numbers, n), outbox=False), page)
            finally:
                chromium.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    print(table(figures))
    RESULTS.mkdir(exist_ok=True)
    facts = {"machine": machine(), "figures": [figure._asdict() for figure in figures]}
    (RESULTS / f"page-{time.strftime('%Y%m%d-%H%M%S')}.json").write_text(json.dumps(facts, indent=1))
    return 1 if any(figure.missed for figure in figures) else 0


def _point_at(url: str) -> None:
    from django.conf import settings

    from messaging import connection, wire

    settings.MESSAGING = settings.MESSAGING | {"URL": url}
    connection.reset()
    wire.reset()


def _messages(numbers: Any, count: int) -> list[dict[str, Any]]:
    """Orders and logins of a shop: some 150 bytes each, on ten channels."""
    found = []
    for _ in range(count):
        n = next(numbers)
        data = {
            "id": n,
            "customer": {"id": n % 700, "name": f"Customer {n % 700}"},
            "total": n % 4000 / 100,
            "items": [{"sku": f"SKU-{n % 900}", "quantity": n % 4 + 1}],
            "state": "paid",
        }
        found.append(
            {"channel": f"shop{n % 5}.{'orders' if n % 2 else 'logins'}", "data": data, "key": str(n % 7)}
        )
    return found


if __name__ == "__main__":
    sys.exit(main())
