"""What a command says and how it ends -> streams and exit codes, the same for all commands of the app."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import Any, NoReturn, TypeAlias

import msgspec
from django.core.checks import CheckMessage
from django.core.management.base import BaseCommand, CommandParser, DjangoHelpFormatter
from django.db import DatabaseError, InterfaceError

from messaging.conf import conf
from messaging.exits import CANNOT_START, DONE, FAILED
from messaging.tables import lacking
from messaging.terminal.output import Output, OutputLost, drop
from messaging.terminal.screen import Paint

Subcommands: TypeAlias = "argparse._SubParsersAction[CommandParser]"


class HelpFormatter(argparse.RawDescriptionHelpFormatter, DjangoHelpFormatter):
    """Keeps the lines of a description; Django's own options come last."""


def parser_of(
    subcommands: Subcommands, name: str, *, help: str, description: str, epilog: str
) -> CommandParser:
    """The parser of a new subcommand."""
    return subcommands.add_parser(
        name, help=help, description=description, epilog=epilog, formatter_class=HelpFormatter
    )


class TerminalCommand(BaseCommand):
    """Data on stdout, talk on stderr; ``--help`` keeps its lines and ends in ``epilog``. A reader that has gone away
    (``| head``) ends the command without a word, a full disk with a sentence, unless it has something better to do:
    then it handles :class:`~messaging.terminal.output.OutputLost`."""

    epilog = ""
    intermixed = True  # options may stand between arguments; argparse cannot do that with subcommands
    requires_system_checks = ()  # the server's processes run them; a command for a person starts at once

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(
            prog_name, subcommand, epilog=self.epilog, formatter_class=HelpFormatter, **kwargs
        )
        if self.intermixed:
            parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign]
        return parser

    def execute(self, *args: Any, **options: Any) -> str | None:
        self.paint = Paint.of(options.get("stderr") or self.stderr, options)
        self._output = Output(options.get("stdout") or sys.stdout)
        try:
            return super().execute(*args, **options | {"stdout": self._output})
        except OutputLost as error:
            if error.is_closed:
                sys.exit(DONE)
            self.end(FAILED, f"Ended: {error}.")

    def put(self, data: bytes) -> None:
        """Bytes on stdout; flush ``self.stdout`` when they are to be seen."""
        self._output.put(data)

    def put_object(self, one: Any) -> None:
        """One JSON object on one line; flush ``self.stdout`` behind the last."""
        self.put(msgspec.json.encode(one) + b"\n")

    def put_json(self, report: Any) -> None:
        """One object on one line, to be seen at once."""
        self.put_object(report)
        self.stdout.flush()

    def say(self, sentence: str) -> None:
        """One line on stderr."""
        self.talk(f"{sentence}\n")

    def talk(self, text: str) -> None:
        """Text on stderr, as it is and at once. When nobody is there to hear it, the work goes on all the same."""
        try:
            self.stderr.write(text, style_func=str, ending="")
            self.stderr.flush()
        except OSError:
            drop(self.stderr)

    def end(self, code: int, sentence: str) -> NoReturn:
        """Say why in one sentence, and end with an exit code."""
        self.say(self.paint.red(sentence))
        sys.exit(code)

    def need_settings(self, found: Iterable[CheckMessage]) -> None:
        """End at the first error of checks: what they say of the settings would fail again and again."""
        for wrong in found:
            if wrong.is_serious():
                hint = f" ({wrong.hint.rstrip('.')})" if wrong.hint else ""
                self.end(CANNOT_START, f"Cannot start: {wrong.msg}{hint}")

    def need_tables(self) -> None:
        """End when the database answers, but lacks tables of ours: waiting does not help then."""
        if missing := lacking(conf.DATABASE):
            self.end(CANNOT_START, f"Cannot start: the database lacks {missing}: run manage.py migrate")

    def end_without_database(self, error: DatabaseError | InterfaceError, before: str = "") -> NoReturn:
        """Say why the database cannot be asked, behind what was done ``before`` that, and end."""
        self.need_tables()
        self.end(FAILED, f"{before}The database is away ({str(error).strip()}).")
