"""A descriptor -> a worker process: ``python -m messaging.taskqueue.worker DESCRIPTOR``, started by a supervisor."""

from __future__ import annotations

import gc
import logging
import os
import socket
import sys

import django
import msgspec

from messaging.errors import MessagingError
from messaging.exits import CANNOT_START
from messaging.taskqueue.worker import messages
from messaging.taskqueue.worker.messages import Channel, Orders

logger = logging.getLogger("messaging.work")

FIRST_WORD_SECONDS = 30.0


def main() -> None:
    end = socket.socket(fileno=int(sys.argv[1]))
    end.set_inheritable(False)  # what a task starts does not keep it open
    orders = first_word(end)
    if orders.python_path is None:
        os.environ.pop("PYTHONPATH", None)
    else:
        os.environ["PYTHONPATH"] = orders.python_path
    try:
        django.setup()
        from messaging.taskqueue.worker.process import Process  # tasks and models can be loaded only now

        process = Process(Channel(end, messages.from_supervisor), orders)
    except MessagingError as error:
        logger.error("a worker process cannot start: %s", error)
        sys.exit(CANNOT_START)
    except Exception:
        logger.exception("a worker process cannot start")
        sys.exit(CANNOT_START)
    gc.collect()
    gc.freeze()  # what is loaded by now stays: the collector need not look through it again and again
    code = process.run()
    logging.shutdown()
    if process.left_behind:
        os._exit(code)  # their threads do not end
    sys.exit(code)


def first_word(end: socket.socket) -> Orders:
    """The first line; what follows it stays in the socket."""
    end.settimeout(FIRST_WORD_SECONDS)
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = end.recv(1)
        if not byte:
            sys.exit(1)  # the supervisor is gone already
        line += byte
    return msgspec.json.decode(line, type=Orders)


if __name__ == "__main__":
    main()
