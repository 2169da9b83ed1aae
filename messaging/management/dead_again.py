"""``manage.py messaging dead retry ID --args JSON --kwargs JSON``: a dead letter and other arguments -> a new task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from messaging.entered import NotJson, json_of
from messaging.errors import InvalidCall, TaskUnknown, TaskUnreadable, shown
from messaging.exits import FAILED, USAGE
from messaging.management.terminal_command import TerminalCommand
from messaging.taskqueue import editing
from messaging.taskqueue.job import Job
from messaging.taskqueue.payloads import decode_body
from messaging.taskqueue.queue import Queue
from messaging.taskqueue.worker.backends import backend_of


def other_arguments(command: TerminalCommand, options: dict[str, Any]) -> dict[str, Any]:
    """Those that were given, by the name of the parameter that takes them; ends the command when they cannot be."""
    given: dict[str, Any] = {}
    for name, kind, word in (("args", list, "array"), ("kwargs", dict, "object")):
        if (text := options[f"with_{name}"]) is None:
            continue
        try:
            given[name] = msgspec.json.decode(json_of(text))
        except NotJson as error:
            command.end(USAGE, f"--{name} is not JSON: {error}.")
        if not isinstance(given[name], kind):
            command.end(USAGE, f"--{name} is a JSON {word}, not {shown(text)}.")
    return given


def again(
    command: TerminalCommand, queue: Queue, job: Job, given: Mapping[str, Any], *, dry_run: bool
) -> None:
    """One of them again, with other arguments."""
    try:
        body = decode_body(job.body)
        call = {"args": body.args, "kwargs": body.kwargs, **given}
        backend = backend_of(queue.alias)
        if dry_run:
            editing.edited(backend, queue.name, job, **call)
            command.say("It could be called so.")
            return
        new, is_new = editing.requeue(backend, queue, job, **call)
    except (InvalidCall, TaskUnknown, TaskUnreadable) as error:
        command.end(FAILED, f"No: {error}.")
    command.put(new.encode() + b"\n")
    command.stdout.flush()
    said = (
        "It is enqueued; the dead letter stays as it was."
        if is_new
        else "Nothing new: that one holds its unique lock."
    )
    command.say(said)
