"""The tables -> pages of Django's admin: post a message, browse what is stored, publish it again.

``messages`` is the page of messages, made of ``changelist`` (its cost is bounded on any number of rows), ``filters``,
``columns``, ``detail``, ``posting`` (every view that publishes) and ``deleting``; ``quarantine`` is what could
not be stored; ``tables`` are the read-only others.
"""

from __future__ import annotations

from messaging.admin import messages, quarantine, tables

__all__ = ["messages", "quarantine", "tables"]
