"""``manage.py up``: everything in one terminal."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.management.base import CommandParser

from messaging.conf import conf
from messaging.exits import CANNOT_START, USAGE
from messaging.management.terminal_command import TerminalCommand
from messaging.standalone.site import ADMIN, CannotStart, Plan, Up, run
from messaging.terminal.arguments import seconds
from messaging.terminal.screen import Paint, safe


class Command(TerminalCommand):
    help = """Run the whole site in this terminal: Redis, web server, listener and workers.

Redis is the one that MESSAGING names, or a server of its own (Valkey) where the settings have EMBEDDED_SOCKET.
Migrations; an admin login, printed on the first run. Ctrl-C drains everything, a second one ends it at once. For trials
and development: in production run each process under the system's own supervisor."""

    epilog = """Django settings that it reads, all of which may be missing:
  EMBEDDED_SOCKET  path of the Unix socket of a server of its own, which MESSAGING["URL"] then names
  VAR_DIR          folder of that server's data and of this command's lock (default: var)
  PORT             instead of the environment's

exit codes: 0 drained, 1 a process could not be kept alive, 2 usage, 3 cannot start, 5 drain timed out,
130 ended at once by a second signal

examples:
  manage.py up
  manage.py up --reload
  PORT=8080 manage.py up
  manage.py up --host 0.0.0.0 --port 8080"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--port",
            metavar="PORT",
            help="default: the setting PORT, else the environment's, else 8000; 0 takes a free one",
        )
        parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="default: %(default)s")
        parser.add_argument(
            "--drain",
            type=seconds,
            default=15.0,
            metavar="SECONDS",
            help="how long Ctrl-C waits for work in hand before it kills (default: %(default)g)",
        )

        parser.add_argument(
            "--reload",
            action="store_true",
            help="for development: web server, listener and workers start again when code below the project's folder "
            "changes",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self._on_stdout = Paint.of(sys.stdout, options)
        port = options["port"] or str(getattr(settings, "PORT", "")) or os.environ.get("PORT") or "8000"
        if not (port.isascii() and port.isdecimal() and int(port) < 65536):
            self.end(USAGE, f"PORT must be a number from 0 to 65535, not {port!r}")
        plan = Plan(
            host=options["host"],
            port=int(port),
            directory=Path(getattr(settings, "VAR_DIR", "var")),
            project=Path(getattr(settings, "BASE_DIR", Path.cwd())),
            embedded=getattr(settings, "EMBEDDED_SOCKET", None),
            drain_seconds=options["drain"],
            reload=options["reload"],
        )
        try:
            code = run(plan, say=self.pass_on, ready=lambda up: self.greet(plan, up))
        except CannotStart as error:
            self.end(CANNOT_START, f"Cannot start: {error}")
        sys.exit(code)

    def pass_on(self, part: str, line: str) -> None:
        """One line of one part, to stderr."""
        self.say(self.paint.dim(f"{part or 'up':<7}│ ") + safe(line))

    def greet(self, plan: Plan, up: Up) -> None:
        """What to do now that it runs."""
        bold = self._on_stdout.bold
        here = plan.project in Path(sys.executable).parents
        python = os.path.relpath(sys.executable, plan.project) if here else sys.executable
        rows = [
            ("Live log", bold(f"{up.url}messages/")),
            ("Admin", bold(f"{up.url}admin/")),
            ("Publish", f"{shlex.quote(python)} manage.py publish orders.created '{{\"id\": 1}}'"),
            ("or", f'{redis_cli()} PUBLISH updates "New data available"'),
            ("Stop", "Ctrl-C"),
        ]
        if up.password:
            rows.insert(
                2, ("Log in", f"{bold(ADMIN)} / {bold(up.password)}   (made just now, shown this once)")
            )
        text = [f"Ready in {up.seconds:.1f} s", "", *(f"  {name:<9} {value}" for name, value in rows)]
        self.stdout.write("\n" + "\n".join(text) + "\n")
        self.stdout.flush()


def redis_cli() -> str:
    """The command line that reaches the broker from a shell, without its password."""
    url = urlsplit(conf.URL)
    if url.scheme == "unix":
        return f"redis-cli -s {shlex.quote(unquote(url.path))}"
    return f"redis-cli -h {url.hostname or '127.0.0.1'} -p {url.port or 6379}"
