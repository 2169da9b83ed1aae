"""Something that an operator should know -> whoever listens: Django signals.

Both are sent by the listener, never by a web process or a worker, once for the whole site, and have the same arguments:

sender     :class:`messaging.alerts.Rule`
what       ``"dead"`` (dead letters in a queue), ``"wait"`` (seconds that the oldest ready task of a queue has been
           waiting) or ``"silence"`` (seconds since the last message on a channel, or on any that match a pattern)
backend    alias of ``settings.TASKS``; "" for silence
name       of the queue, or the channel or pattern
value      what was measured
threshold  of ``MESSAGING["ALERTS"]``
step       1 at the threshold, 2 at twice that, 3 at four times that ...: each is told once, until ``value`` has fallen
           to less than half of it; 0 when it is over

A receiver that raises is logged, and keeps no other from hearing it. What takes long belongs into a task.
"""

from __future__ import annotations

from django.dispatch import Signal

threshold_passed = Signal()
threshold_recovered = Signal()
