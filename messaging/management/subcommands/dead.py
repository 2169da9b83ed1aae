"""``manage.py messaging dead list|retry|discard``: tasks that failed for good -> a list, ready ones, or nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from django.core.management.base import CommandParser

from messaging.errors import TaskUnreadable
from messaging.exits import FAILED, USAGE
from messaging.management.about_queues import asking, chosen, queue_parser_of, title, who
from messaging.management.dead_again import again, other_arguments
from messaging.management.terminal_command import Subcommands, TerminalCommand
from messaging.taskqueue.dead import Action, DeadFilter, Letter, Search, act, grouped, groups
from messaging.taskqueue.headlines import headline
from messaging.taskqueue.job import Job, State
from messaging.taskqueue.payloads import decode_body
from messaging.taskqueue.quantities import DeadGroup
from messaging.taskqueue.queue import Queue
from messaging.taskqueue.standing import find
from messaging.terminal.arguments import add_listing
from messaging.terminal.conditions import Condition
from messaging.terminal.moments import position_of
from messaging.terminal.screen import StatusLine, counted, cut, is_terminal, safe, width
from messaging.terminal.stopping import Stop

EPILOG = """examples:
  manage.py messaging dead list
  manage.py messaging dead list --groups               how many of which task and error
  manage.py messaging dead list --task send_mail --since 1h --json | jq .id
  manage.py messaging dead retry default.019ab2c4d5e67f8090a1b2c3d4e5f607
  manage.py messaging dead retry --all --error SMTPServerDisconnected
  manage.py messaging dead retry default.019ab... --kwargs '{"order_id": 7}'      with other arguments: a new task
  manage.py messaging dead discard --all --where kwargs.order_id=42 --dry-run

retry puts them back into their queues with fresh budgets, their history kept; with --args or --kwargs it makes a new
task, says its id, and the dead letter stays; discard removes them for good. --task and
--error take a whole path or its last names; with = in front nothing else. A PATH of --where: args.0, kwargs.NAME,
kwargs.NAME.FIELD, id, task, reason, error, attempts; behind it = != < <= > >= and a value, JSON or text. Those that die
meanwhile are not touched.

exit codes: 0 done; 1 an ID is none of them, or is none any more, Redis is away, or ended by INT or TERM; 2 usage,
3 cannot start."""

FACTS = ("args", "kwargs", "id", "task", "reason", "error", "attempts")
NAMED = 10  # ids in one sentence


def add(subcommands: Subcommands) -> CommandParser:
    """The subcommand's parser."""
    parser = queue_parser_of(
        subcommands,
        "dead",
        help="tasks that failed for good: list them, retry them, discard them",
        description="Dead letters: tasks that failed for good, or whose workers died with them again and again.",
        epilog=EPILOG,
    )
    parser.add_argument("action", choices=("list", "retry", "discard"), help="what to do with them")
    parser.add_argument("ids", nargs="*", metavar="ID", help="only these, and of them what the filters leave")
    parser.add_argument("--all", action="store_true", help="retry or discard all that the filters leave")
    parser.add_argument("--queue", default="", metavar="QUEUE", help="only of this queue")
    parser.add_argument("--task", default="", metavar="PATH", help="only of this task")
    parser.add_argument("--error", default="", metavar="CLASS", help="only with this error, or reason")
    parser.add_argument(
        "--text", default="", help="only with this in reason, tracebacks, arguments or id, in any case"
    )
    parser.add_argument(
        "--since", metavar="WHEN", help="died then or later: an age (90s 2h 1d) or an ISO time"
    )
    parser.add_argument(
        "--where", action="append", default=[], metavar="PATH=VALUE", help="only those; may be repeated"
    )
    parser.add_argument("--groups", action="store_true", help="list how many of which task and error")
    add_listing(parser)
    parser.add_argument(
        "--args",
        dest="with_args",
        metavar="JSON",
        help="retry one with other positional arguments: a new task",
    )
    parser.add_argument(
        "--kwargs", dest="with_kwargs", metavar="JSON", help="the same of its keyword arguments"
    )
    parser.add_argument("--dry-run", action="store_true", help="say how many it would be")
    return parser


def run(command: TerminalCommand, options: dict[str, Any]) -> None:
    """Do it."""
    action, ids = options["action"], list(dict.fromkeys(options["ids"]))
    if ids and options["all"]:
        command.end(USAGE, f"{action} ID ..., or {action} --all: not both.")
    if action != "list" and not ids and not options["all"]:
        command.end(USAGE, f"Say which: {action} ID ..., or {action} --all.")
    if action != "list" and options["groups"]:
        command.end(USAGE, "--groups is for list.")
    wanted, keep = _filter(command, options)
    if options["with_args"] is not None or options["with_kwargs"] is not None:
        if action != "retry" or len(ids) != 1:
            command.end(USAGE, "Other arguments are for one: retry ID --args JSON --kwargs JSON.")
        given = other_arguments(command, options)
        with asking(command):
            found = _of_ids(ids, options, wanted, keep)
            if not found:
                command.end(FAILED, "It is no such dead letter, or is none any more.")
            again(command, *found[0], given, dry_run=options["dry_run"])
        return
    missing: list[str] = []
    locked = 0
    with asking(command):
        queues = chosen([options["queue"]] if options["queue"] else [], options["backend"])
        if options["groups"] and not ids and wanted.is_grouped and keep is None:
            _put_groups(command, options, groups(queues, wanted))
            return
        letters: list[Letter] | Search = Search(queues, wanted, keep=keep)
        if ids:
            letters = [
                Letter(job.finished_ms, queue, job) for queue, job in _of_ids(ids, options, wanted, keep)
            ]
            missing = [each for each in ids if each not in {letter.job.id for letter in letters}]
        if options["groups"]:
            _put_groups(command, options, grouped(letters))
        elif action == "list":
            _list(command, letters, options)
        elif options["dry_run"]:
            verb = "retried" if action == "retry" else "discarded"
            command.say(f"{counted(sum(1 for _ in letters), 'dead letter')} would be {verb}.")
        else:
            gone, locked = _act(command, action, letters)
            missing += gone
    if missing:
        more = f" and {len(missing) - NAMED:,} more" if len(missing) > NAMED else ""
        named = ", ".join(safe(each) for each in missing[:NAMED])
        command.end(FAILED, f"No such dead letters, or none any more: {named}{more}.")
    if locked:
        sys.exit(FAILED)


def _filter(
    command: TerminalCommand, options: dict[str, Any]
) -> tuple[DeadFilter, Callable[[Job], bool] | None]:
    since_ms = 0
    now = datetime.now(UTC).astimezone()
    try:
        if options["since"]:
            since_ms = position_of(options["since"], now=now).ms + 1
        conditions = [Condition.about_anything(text) for text in options["where"]]
    except ValueError as error:
        command.end(USAGE, f"No: {error}.")
    for condition in conditions:
        if condition.path[0] not in FACTS:
            command.end(USAGE, f"--where {condition.path[0]}: a path begins with one of {', '.join(FACTS)}.")
    wanted = DeadFilter(
        task=options["task"], error=options["error"], text=options["text"], since_ms=since_ms
    )  # fmt: skip
    if not conditions:
        return wanted, None
    return wanted, lambda job: all(condition.met_in(_facts(job)) for condition in conditions)


def _facts(job: Job) -> Mapping[str, Any]:
    """What --where asks about."""
    facts = {
        "id": job.id,
        "task": job.task,
        "reason": job.reason,
        "error": job.cause,
        "attempts": job.attempt,
    }
    try:
        body = decode_body(job.body)
    except TaskUnreadable:
        return facts
    return facts | {"args": body.args, "kwargs": body.kwargs}


def _of_ids(
    ids: list[str], options: dict[str, Any], wanted: DeadFilter, keep: Callable[[Job], bool] | None
) -> list[tuple[Queue, Job]]:
    """Those of them that are dead letters, and that the filters let through."""
    found = (find(each, options["backend"]) for each in ids)
    return [
        (queue, job)
        for queue, job in filter(None, found)
        if job.state is State.DEAD
        and queue.name == (options["queue"] or queue.name)
        and wanted.lets(job.finished_ms, job)
        and (keep is None or keep(job))
    ]


def _list(command: TerminalCommand, letters: list[Letter] | Search, options: dict[str, Any]) -> None:
    limit = options["limit"]
    listed = list(islice(letters, limit + 1))
    for letter in listed[:limit]:
        job = letter.queue.get(letter.job.id) or letter.job  # with its tracebacks
        if options["json"]:
            command.put_object(_object(letter, job))
            continue
        died = f"{datetime.fromtimestamp(letter.at_ms / 1000):%Y-%m-%d %H:%M:%S}"  # noqa: DTZ006 (for eyes)
        line = f"{died}  {safe(job.id)}  {safe(job.task)}  {safe(_why(job))}"
        command.stdout.write(cut(line, width()) if is_terminal(command.stdout) else line)
    command.stdout.flush()
    if not listed:
        command.say("There are no such dead letters.")
    elif len(listed) > limit:
        command.say(f"The newest {limit:,} are listed; --limit shows more.")


def _why(job: Job) -> str:
    return f"{headline(job) or job.cause}, {job.reason}" if job.reason != job.cause else job.reason


def _object(letter: Letter, job: Job) -> dict[str, Any]:
    times = {"died_ms": letter.at_ms, "enqueued_ms": job.enqueued_ms, "attempts": job.attempts}
    return {"queue": letter.queue.name, **_facts(job), **times, "errors": job.errors, "owner": job.owner}


def _put_groups(
    command: TerminalCommand, options: dict[str, Any], found: list[tuple[Queue, DeadGroup]] | Any
) -> None:
    for queue, group in found:
        if options["json"]:
            facts = {"queue": queue.name, "task": group.task, "error": group.cause, "count": group.count}
            command.put_object(facts)
        else:
            command.stdout.write(
                f"{group.count:>8,}  {safe(title(queue))}  {safe(group.task)}  {safe(group.cause)}"
            )
    command.stdout.flush()
    if not found:
        command.say("There are no such dead letters.")


def _act(command: TerminalCommand, action: Action, letters: list[Letter] | Search) -> tuple[list[str], int]:
    """Do it; the ids of those that were none any more, and how many stay, since another task has their lock."""
    done, looked, locked, gone = 0, 0, 0, []
    with Stop() as stop, StatusLine(command.talk, shown=is_terminal(command.stderr)) as status:
        # All are found before the first is touched: a retry that fails again at once is not met a second time.
        for letter, changed in _some(act(action, [*letters], who()), stop):
            looked += 1
            done += changed
            if not changed and letter.is_dead:
                locked += 1
            elif not changed:
                gone.append(letter.job.id)
            status.show(f"{looked:,}")
    verb = "retried" if action == "retry" else "discarded"
    command.say(f"{counted(done, 'dead letter')} {verb}.")
    if locked:
        command.say(
            f"{counted(locked, 'dead letter')} not {verb}: a task of the same unique key is in the queue."
        )
    if stop.asked:
        sys.exit(FAILED)
    return gone, locked


def _some(pairs: Iterator[tuple[Letter, bool]], stop: Stop) -> Iterator[tuple[Letter, bool]]:
    for pair in pairs:
        yield pair
        if stop.asked:
            return
