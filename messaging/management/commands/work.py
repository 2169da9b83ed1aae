"""``manage.py work``: queues -> tasks that run, in as many processes and threads as asked for."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
from django.core.management.base import CommandParser

from messaging import connection, lease
from messaging.checks import check_settings
from messaging.conf import conf
from messaging.errors import Misconfigured
from messaging.exits import CANNOT_START, USAGE
from messaging.management.terminal_command import TerminalCommand
from messaging.probing import CannotBind, Probe, address
from messaging.readyfile import CannotMake, ReadyFile
from messaging.taskqueue.seam import DEFAULT_TASK_BACKEND_ALIAS
from messaging.taskqueue.worker.backends import backend_of
from messaging.taskqueue.worker.memory import resident_mb
from messaging.taskqueue.worker.plan import EVERY, Choice, Plan, host
from messaging.taskqueue.worker.supervisor import Report, Supervisor
from messaging.terminal.arguments import seconds, whole
from messaging.terminal.output import Reports
from messaging.terminal.screen import Rate, StatusLine, counted, is_terminal

SILENT_SECONDS = 15.0  # without a round of the supervisor; more, and a probe says that it hangs

positive = whole("a whole number from 1", least=1, most=999_999)


class Command(TerminalCommand):
    help = """Run the tasks of the queues, until told to stop.

A supervisor starts worker processes, each with threads for sync tasks and an event loop for async ones. It renews their
leases, so that a task may take as long as it likes; whatever dies, its tasks run elsewhere soon."""

    epilog = """examples:
  manage.py work                                 all queues of the default backend, one process, ten tasks at once
  manage.py work --queues default,mail=3         two queues; mail gets three slots for each one of default
  manage.py work --queues '*,-reports'           every queue there is but one
  manage.py work --processes 4 --concurrency 20  eighty tasks at once
  manage.py work --burst                         until the queues are empty
  manage.py work --probe 8081                    GET :8081/readyz is 200 while tasks are being claimed

exit codes: 0 done, or drained after INT or TERM, 2 usage, 3 cannot start (settings, code), 5 drain timed out, its tasks
handed back. A second INT or TERM hands the running tasks back and ends at once with 130. Redis away is no error: it
waits, and says so."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--queues",
            metavar="NAMES",
            help="comma-separated, each with a weight if wanted (mail=3); * is every queue, -NAME leaves one out, "
            "as in --queues=-NAME,* (default: QUEUES of the backend)",
        )
        parser.add_argument(
            "--backend",
            default=DEFAULT_TASK_BACKEND_ALIAS,
            metavar="ALIAS",
            help="of settings.TASKS (default: %(default)s)",
        )
        parser.add_argument("--processes", type=positive, default=1, metavar="N", help="default: %(default)s")
        parser.add_argument(
            "--concurrency",
            type=positive,
            default=10,
            metavar="N",
            help="tasks at once in each process, threads and coroutines together (default: %(default)s)",
        )
        parser.add_argument(
            "--max-tasks",
            type=positive,
            default=0,
            metavar="N",
            help="end after so many tasks (default: never)",
        )
        parser.add_argument("--burst", action="store_true", help="end when nothing is left that may run now")
        parser.add_argument(
            "--memory-limit",
            type=positive,
            default=0,
            metavar="MB",
            help="a process that takes more is replaced after its tasks (default: none)",
        )
        parser.add_argument(
            "--drain-seconds",
            type=seconds,
            default=30.0,
            metavar="SECONDS",
            help="how long INT or TERM waits for running tasks before it hands them back (default: %(default)g)",
        )
        parser.add_argument(
            "--id", metavar="NAME", help="first part of the worker's ids (default: the host's name)"
        )
        parser.add_argument(
            "--reload", action="store_true", help="for development: new processes when code changes"
        )
        parser.add_argument(
            "--ready-file",
            type=Path,
            metavar="PATH",
            help="a file that is there while tasks are being claimed",
        )
        parser.add_argument(
            "--probe",
            type=address,
            metavar="[HOST:]PORT",
            help="answer /healthz and /readyz there over HTTP: ready is who claims tasks (default: no port)",
        )
        parser.add_argument(
            "--json", action="store_true", help="a report on stdout each second, one JSON object a line"
        )
        parser.add_argument(
            "--quiet", action="store_true", help="no progress line (default: shown when stderr is a terminal)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        plan = self.plan(options)
        shown = is_terminal(self.stderr) and not options["quiet"]
        if shown:
            self.say(
                self.paint.dim(
                    f"Working on {plan.choice} of {connection.where()}, "
                    f"{counted(plan.processes, 'process', 'processes')}, "
                    f"{counted(plan.concurrency, 'task')} at once in each; Ctrl-C drains and ends."
                )
            )

        try:
            with Probe(options["probe"], name="worker", silent_seconds=SILENT_SECONDS) as probe:
                code = self.work(plan, options, probe, shown=shown)
        except (CannotBind, CannotMake) as error:
            self.end(CANNOT_START, f"Cannot start: {error}")
        sys.exit(code)

    def work(self, plan: Plan, options: dict[str, Any], probe: Probe, *, shown: bool) -> int:
        """Until told to stop; the exit code."""
        with StatusLine(self.talk, shown=shown) as status, ReadyFile(options["ready_file"]) as ready:
            progress = Progress(status)
            clock = ClockWanted()

            def say(line: str) -> None:
                status.clear()
                self.say(line)

            report_json = Reports(
                self.put_json if options["json"] else None, lambda why: say(self.paint.yellow(f"work: {why}"))
            )

            def tick(report: Report) -> None:
                progress.show(report)
                ready.show(report.state == "working")
                probe.show(report, idle=idle(report))
                report_json(report)
                if said := clock.look(report):
                    say(self.paint.yellow(said))

            def drain() -> None:
                status.clear()
                if shown:
                    self.say("draining; a second Ctrl-C hands back what runs and ends at once")

            with Supervisor(
                plan, say=say if shown or options["json"] else None, on_tick=tick, on_drain=drain
            ) as one:
                return one.run()

    def plan(self, options: dict[str, Any]) -> Plan:
        """What the options ask for; ends the command when it cannot be."""
        self.need_settings(check_settings())
        try:
            connection.pool(timeout=5.0)  # a URL that is none is found here, not in each process
            backend = backend_of(options["backend"])
        except Misconfigured as error:
            self.end(CANNOT_START, f"Cannot start: {error}")
        self.need_settings(backend.check())
        queues = backend.queues
        try:
            given = options["queues"]
            choice = Choice.parse(given if given is not None else ",".join(sorted(queues)) or EVERY)
        except ValueError as error:
            self.end(USAGE, f"--queues: {error}")
        if queues and (strange := sorted(choice.weights.keys() - set(queues))):
            self.end(
                USAGE,
                f"--queues: the backend has no queue {strange[0]!r}; it has {', '.join(sorted(queues))}",
            )
        if 0 < options["memory_limit"] <= (taken := resident_mb(os.getpid())):
            self.end(
                USAGE,
                f"--memory-limit {options['memory_limit']}: a process without a task takes {taken:.0f} MB already, "
                "and would be replaced for ever",
            )
        return Plan(
            alias=options["backend"],
            choice=choice,
            name=options["id"] or host(),
            lease_ms=int(conf.TASK_LEASE_SECONDS * 1000),
            stop_seconds=conf.TASK_STOP_SECONDS,
            processes=options["processes"],
            concurrency=options["concurrency"],
            max_tasks=options["max_tasks"],
            burst=options["burst"],
            memory_mb=options["memory_limit"],
            reload=options["reload"],
            drain_seconds=options["drain_seconds"],
        )


def idle(report: Report) -> list[str]:
    """Why no tasks are being claimed; empty while they are."""
    if report.state == "working":
        return []
    return report.failures or [
        "no process has begun to claim yet" if report.state == "starting" else report.state
    ]


class Progress:
    """Reports -> the status line: what a person wants to know at a glance."""

    def __init__(self, status: StatusLine) -> None:
        self._status = status
        self._rate = Rate()

    def show(self, report: Report) -> None:
        """Replace the line."""
        done = report.succeeded + report.failed + report.retried
        parts = [
            f"{done:,} done ({self._rate.of(done):,.0f}/s)",
            f"{report.busy} of {report.slots} running",
            *(f"{count:,} {what}" for what in ("failed", "retried") if (count := getattr(report, what))),
            *([counted(report.lost, "process lost", "processes lost")] if report.lost else []),
            "; ".join(report.failures) or report.state,
        ]
        self._status.show(", ".join(parts))


class ClockWanted:
    """SCHEDULE, and no listener whose clock makes its ticks -> a sentence, once. A listener that starts or is replaced
    together with this worker, as in a deploy, has time for it: two leases without an outage of Redis."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._looks = bool(conf.SCHEDULE)

    def look(self, report: Report) -> str:
        """The sentence when it is time for it and true; else ""."""
        if not self._looks:
            return ""
        if report.state == "waiting":
            self._since = self._clock()
        if self._clock() - self._since < 2 * conf.LEASE_SECONDS:
            return ""
        try:
            beat = lease.last_beat(connection.client(timeout=1.0))
        except redis.RedisError:
            self._since = self._clock()
            return ""
        self._looks = False
        if beat is not None:
            return ""
        entries = counted(len(conf.SCHEDULE), "entry", "entries")
        return f"SCHEDULE has {entries}, and no listener is in charge: run manage.py listen"
