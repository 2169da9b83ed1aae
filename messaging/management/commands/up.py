"""``manage.py up``: everything in one terminal."""

from __future__ import annotations

import os
import shlex
import sys
from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from messaging.conf import conf
from messaging.standalone import ADMIN, CannotStart, Plan, Up, run

USAGE, CANNOT_START = 2, 3


class Command(BaseCommand):
    help = """Run the whole site in this terminal: Redis, web server and listener.

A server of its own (Valkey, in var/) unless REDIS_URL is set; migrations; an admin login, printed on the first run.
Ctrl-C drains everything, a second one ends it at once. For trials and development: in production run each process
under the system's own supervisor."""

    epilog = """exit codes: 0 drained, 1 a process could not be kept alive, 2 usage, 3 cannot start, 5 drain timed out

examples:
  manage.py up
  PORT=8080 manage.py up
  REDIS_URL=redis://127.0.0.1:6379/0 manage.py up --host 0.0.0.0"""

    requires_system_checks = ()  # the listener and the web server run them

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, epilog=self.epilog, formatter_class=RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", metavar="PORT", help="default: $PORT, else 8000; 0 takes a free one")
        parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="default: %(default)s")
        parser.add_argument(
            "--drain",
            type=float,
            default=15.0,
            metavar="SECONDS",
            help="how long Ctrl-C waits for work in hand before it kills (default: %(default)g)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        directory = Path(getattr(settings, "VAR_DIR", "var"))
        plan = Plan(
            host=options["host"],
            port=port_number(options["port"] or str(getattr(settings, "PORT", 8000))),
            directory=directory,
            project=Path(getattr(settings, "BASE_DIR", Path.cwd())),
            embedded=getattr(settings, "EMBEDDED_SOCKET", None),
            drain_seconds=options["drain"],
        )
        try:
            code = run(plan, say=self.say, ready=lambda up: self.greet(plan, up))
        except CannotStart as error:
            raise CommandError(str(error), returncode=CANNOT_START) from error
        sys.exit(code)

    def say(self, part: str, line: str) -> None:
        """One line of one part, to stderr."""
        self.stderr.write(f"{part or 'up':<7}│ {line}", style_func=str)

    def greet(self, plan: Plan, up: Up) -> None:
        """What to do now that it runs."""
        bold = self.style.HTTP_INFO
        python = (
            os.path.relpath(sys.executable)
            if plan.project in Path(sys.executable).parents
            else sys.executable
        )
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


def port_number(text: str) -> int:
    """``"8000"`` -> 8000; raises CommandError for what is no port."""
    if not (text.isdecimal() and text.isascii() and int(text) < 65536):
        raise CommandError(f"PORT must be a number from 0 to 65535, not {text!r}", returncode=USAGE)
    return int(text)


def redis_cli() -> str:
    """The command line that reaches the broker from a shell, without its password."""
    url = urlsplit(conf.URL)
    if url.scheme == "unix":
        return f"redis-cli -s {shlex.quote(unquote(url.path))}"
    return f"redis-cli -h {url.hostname or '127.0.0.1'} -p {url.port or 6379}"
