"""``manage.py messaging doctor``: a diagnosis -> a table for a person, or JSON, and an exit code."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from django.core.management.base import CommandParser

from messaging.doctor import Diagnosis, examine
from messaging.doctor.finding import NOTE, OK, PROBLEM, WARNING, Finding
from messaging.exits import FAILED, UNHEALTHY
from messaging.management.terminal_command import Subcommands, TerminalCommand, parser_of
from messaging.terminal.screen import Paint, counted, is_terminal, safe, width

EPILOG = """examples:
  manage.py messaging doctor                look at everything; takes two seconds
  manage.py messaging doctor --problems     only what should be changed
  manage.py messaging doctor --json | jq '.sections[].findings[] | select(.level == "problem")'

levels: ok; note, good to know; warning, it works until something else goes wrong; problem, messages are lost or stand
still, now or soon. Nothing is changed, and no password is printed.

exit codes: 0 no problem, 1 Redis is away (the rest is still examined), 2 usage, 4 a problem."""

LEVEL_COLUMNS, TOPIC_COLUMNS = 9, 13
NARROWEST = 40


def add(subcommands: Subcommands) -> CommandParser:
    """The subcommand's parser."""
    parser = parser_of(
        subcommands,
        "doctor",
        help="what is wrong, or will be: Redis, rights, persistence, clocks, database, settings, each with its remedy",
        description="Examine Redis, the database and the settings; say what each finding means and how to mend it.",
        epilog=EPILOG,
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--problems", action="store_true", help="only warnings and problems")
    return parser


def run(command: TerminalCommand, options: dict[str, Any]) -> None:
    """Examine and tell."""
    diagnosis = examine()
    if options["json"]:
        command.put_object(diagnosis)
    else:
        levels = (WARNING, PROBLEM) if options["problems"] else (OK, NOTE, WARNING, PROBLEM)
        columns = max(NARROWEST, width()) if is_terminal(command.stdout) else None
        for line in table(diagnosis, Paint.of(command.stdout, options), levels=levels, columns=columns):
            command.stdout.write(line)
    command.stdout.flush()
    if not diagnosis.answers:
        sys.exit(FAILED)
    if diagnosis.sick:
        sys.exit(UNHEALTHY)


def table(
    diagnosis: Diagnosis, paint: Paint, *, levels: tuple[str, ...], columns: int | None
) -> Iterator[str]:
    """A diagnosis -> lines for a person, none wider than ``columns`` but for commands, which are there to be copied."""
    for section in diagnosis.sections:
        findings = [each for each in section.findings if each.level in levels]
        if not findings:
            continue
        yield paint.bold(section.name) + (f"  {diagnosis.redis}" if section.name == "Redis" else "")
        for finding in findings:
            yield from _lines(finding, paint, columns)
        yield ""
    yield _summary(diagnosis, paint)


def _lines(finding: Finding, paint: Paint, columns: int | None) -> Iterator[str]:
    colour = _colours(paint)[finding.level]
    margin = " " * (2 + LEVEL_COLUMNS + TOPIC_COLUMNS)
    head = f"  {colour(finding.level)}{' ' * (LEVEL_COLUMNS - len(finding.level))}{finding.topic:<{TOPIC_COLUMNS}}"
    first, *more = _wrapped(safe(finding.what), columns, len(margin))
    yield f"{head}{first}"
    yield from (f"{margin}{line}" for line in more)
    for text in (finding.why, finding.remedy):
        yield from (
            f"{margin}{paint.dim(line)}" for line in _wrapped(safe(text), columns, len(margin)) if line
        )
    if finding.command:
        yield f"{margin}  {safe(finding.command)}"


def _wrapped(text: str, columns: int | None, margin: int) -> list[str]:
    if columns is None:
        return [text]
    return textwrap.wrap(text, columns - margin, break_on_hyphens=False) or [""]


def _colours(paint: Paint) -> dict[str, Callable[[str], str]]:
    return {OK: paint.green, NOTE: paint.bold, WARNING: paint.yellow, PROBLEM: paint.red}


def _summary(diagnosis: Diagnosis, paint: Paint) -> str:
    counts = diagnosis.counts
    words = [
        _colours(paint)[level](counted(counts[level], level))
        for level in (PROBLEM, WARNING, NOTE)
        if counts[level]
    ]
    return f"{', '.join(words) or paint.green('All is well')}; {counts[OK]} ok."
