"""``MESSAGING["ALERTS"]`` and how things stand -> signals and log lines, once for each step that is passed.

    ALERTS = {"dead": {"*": 10, "mail": 100}, "wait": {"*": 300}, "silence": {"orders.*": 3600}}

Dead letters of a queue, seconds that its oldest ready task waits, seconds since a message came on such a channel. "*"
is every queue that is not named; 0: none. There is no leader: Redis keeps which step was told, so the first listener
that notices tells it. One that dies in that moment has told nobody, until the next step.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import redis
from django.db import close_old_connections

from messaging import keys
from messaging.conf import conf
from messaging.errors import Misconfigured, shown
from messaging.models import Channel, Message
from messaging.patterns import is_pattern, matches
from messaging.quantities import span
from messaging.scripts import Script
from messaging.signals import threshold_passed, threshold_recovered
from messaging.taskqueue import standing

logger = logging.getLogger("messaging.listen")

What = Literal["dead", "wait", "silence"]
KINDS: tuple[What, ...] = ("dead", "wait", "silence")
LOOK_SECONDS = 10.0
EVERY = "*"
MOST_CHANNELS = 500  # that one pattern looks at

_alert = Script("alert")


class Rule(NamedTuple):
    """One threshold; the sender of its signals."""

    what: What
    backend: str
    name: str
    threshold: float

    def step(self, value: float) -> int:
        """0 below the threshold, 1 from it on, 2 from twice that on ..."""
        return 0 if value < self.threshold else 1 + int(math.log2(value / self.threshold))


class Seen(NamedTuple):
    """A rule and what was measured."""

    rule: Rule
    value: float


def thresholds() -> dict[What, dict[str, float]]:
    """The setting; raises :class:`Misconfigured` naming what is wrong with it."""
    for what, given in conf.ALERTS.items():
        if what not in KINDS:
            raise Misconfigured(f"MESSAGING['ALERTS'] knows {', '.join(KINDS)}, not {shown(what)}")
        if not isinstance(given, Mapping):
            raise Misconfigured(f"MESSAGING['ALERTS'][{what!r}] is a dict of names, not {shown(given)}")
        for name, value in given.items():
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < math.inf:
                raise Misconfigured(
                    f"MESSAGING['ALERTS'][{what!r}][{name!r}] is a number, not {shown(value)}"
                )
    return {what: dict(conf.ALERTS.get(what, {})) for what in KINDS}


class Watch:
    """Looks at what the rules are about. Many may do so, here and elsewhere."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._since = time.time()  # a channel on which nothing ever came has been silent since then

    def step(self, stopping: threading.Event) -> None:
        """Look once, and wait; raises what redis-py and the database raise."""
        close_old_connections()
        self.look()
        stopping.wait(LOOK_SECONDS)

    def look(self) -> None:
        """Tell what is new."""
        given = thresholds()
        for seen in [*self._queues(given["dead"], given["wait"]), *self._silence(given["silence"])]:
            self._judge(seen)

    def _queues(self, dead: Mapping[str, float], wait: Mapping[str, float]) -> Iterator[Seen]:
        for queue in standing.all_queues() if dead or wait else ():
            counts = queue.counts()
            if most := dead.get(queue.name, dead.get(EVERY, 0)):
                yield Seen(Rule("dead", queue.alias, queue.name, most), counts.dead)
            if most := wait.get(queue.name, wait.get(EVERY, 0)):
                waited = counts.oldest_ready_ms / 1000 if counts.ready else 0.0
                yield Seen(Rule("wait", queue.alias, queue.name, most), waited)

    def _silence(self, silence: Mapping[str, float]) -> Iterator[Seen]:
        for name, most in silence.items():
            if most:
                latest = _latest(name)
                since = self._since if latest is None else latest / 1000
                yield Seen(Rule("silence", "", name, most), max(0.0, time.time() - since))

    def _judge(self, seen: Seen) -> None:
        rule, value = seen
        step = rule.step(value)
        field = f"{rule.what}:{rule.backend}:{rule.name}"
        said = int(_alert.run(self._client, (keys.alerts(),), field, step, rule.step(value * 2)))
        if said == 0:
            return
        signal = threshold_passed if said > 0 else threshold_recovered
        level, words = (
            (logging.WARNING, "%s: threshold %g") if said > 0 else (logging.INFO, "%s: below %g again")
        )
        logger.log(level, words, sentence(seen), rule.threshold)
        arguments: dict[str, Any] = {**rule._asdict(), "value": value, "step": step}
        for receiver, answer in signal.send_robust(sender=Rule, **arguments):
            if isinstance(answer, Exception):
                logger.error("receiver %r of an alert failed", receiver, exc_info=answer)


def sentence(seen: Seen) -> str:
    """What was measured, for people."""
    rule, value = seen
    if rule.what == "dead":
        return f"queue {rule.name!r} has {value:,.0f} dead letters"
    if rule.what == "wait":
        return f"queue {rule.name!r} has a task that has been waiting for {span(value * 1000)}"
    return f"no message on {rule.name!r} for {span(value * 1000)}"


def _latest(name: str) -> int | None:
    """When the last message on such a channel came, in milliseconds by the server's clock; ``None`` if none did."""
    table = Message.objects.using(conf.DATABASE)
    names = [name]
    if is_pattern(name):
        known = Channel.objects.using(conf.DATABASE).values_list("name", flat=True)
        names = [each for each in known.iterator() if matches(name, each)][:MOST_CHANNELS]
    found = (
        table.filter(channel=each, log_ms__isnull=False)
        .order_by("-log_ms")
        .values_list("log_ms", flat=True)
        .first()
        for each in names
    )
    return max((at for at in found if at is not None), default=None)
