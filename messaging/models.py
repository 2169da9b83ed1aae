"""Rows: what is stored of the log, what waits to be sent, where the relay stands, what could not be read."""

from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.db import models
from django.utils.translation import gettext_lazy as _

from messaging.attributes import MAX_ATTRIBUTE
from messaging.event import Event
from messaging.payload import JSON, parse_json
from messaging.tableless import DeadLetter, Queue, Schedule, Task, Worker  # noqa: F401 (Django finds models here)


class MessageQuerySet(models.QuerySet["Message"]):
    def pending(self) -> MessageQuerySet:
        """Outbox rows: committed, but not yet confirmed by the relay."""
        return self.filter(log_ms=None)

    def stored(self) -> MessageQuerySet:
        """Rows that the relay has stored or confirmed."""
        return self.exclude(log_ms=None)

    def in_log_order(self) -> MessageQuerySet:
        return self.order_by("log_ms", "log_seq", "partition")


class Message(models.Model):
    """One event. Without a position it is an outbox row that waits for its confirmation by the relay."""

    event_id = models.CharField(_("event id"), max_length=MAX_ATTRIBUTE, editable=False)
    source = models.CharField(_("source"), max_length=MAX_ATTRIBUTE, editable=False)
    channel = models.CharField(_("channel"), max_length=MAX_ATTRIBUTE)
    type = models.CharField(_("type"), max_length=MAX_ATTRIBUTE, blank=True)
    key = models.CharField(_("key"), max_length=MAX_ATTRIBUTE, blank=True)
    time = models.DateTimeField(_("time"), help_text=_("When the publisher says it happened."))
    payload = models.TextField(_("payload"), help_text=_("JSON text as it arrived; base64 when binary."))
    content_type = models.CharField(_("content type"), max_length=MAX_ATTRIBUTE, default=JSON)
    binary = models.BooleanField(_("binary"), default=False)
    attributes = models.TextField(
        _("attributes"),
        blank=True,
        help_text=_("The event's remaining CloudEvents attributes, a JSON object."),
    )

    # Where it stands in the log; all null while it is pending.
    epoch = models.CharField(_("epoch"), max_length=16, null=True, editable=False)  # noqa: DJ001 (null = pending)
    partition = models.PositiveSmallIntegerField(_("partition"), null=True, editable=False)
    log_ms = models.BigIntegerField(_("logged (ms)"), null=True, editable=False)
    log_seq = models.BigIntegerField(_("sequence"), null=True, editable=False)
    stored_at = models.DateTimeField(_("stored at"), null=True, editable=False)

    # The outbox's own account of a pending row.
    queued_at = models.DateTimeField(_("queued at"), null=True, editable=False)
    sends = models.PositiveSmallIntegerField(_("times sent"), default=0, editable=False)
    ordered = models.BooleanField(
        _("ordered"),
        default=False,
        db_default=False,
        editable=False,
        help_text=_("Its channel is ordered: messages leave in the order of their commits."),
    )
    resent = models.CharField(
        _("sent by the sweeper"),
        max_length=20,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text=_("Why the listener had to send it: a key of messaging.outbox.REASONS. Empty: it had not."),
    )
    late = models.BooleanField(
        _("late"),
        default=False,
        db_default=False,
        editable=False,
        help_text=_("Sent by the sweeper, and newer messages of its channel stand before it."),
    )

    objects = MessageQuerySet.as_manager()

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        constraints = (
            models.UniqueConstraint(fields=["event_id", "source"], name="messaging_message_event"),
        )
        indexes = (
            models.Index(fields=["log_ms", "log_seq"], name="messaging_message_log"),
            models.Index(fields=["channel", "log_ms"], name="messaging_message_channel"),
            models.Index(
                fields=["queued_at"], condition=models.Q(log_ms=None), name="messaging_message_pending"
            ),
            models.Index(
                fields=["id"],
                condition=models.Q(log_ms=None, ordered=True),
                name="messaging_message_ordered",
            ),
        )
        permissions = (
            ("publish_message", _("Can publish messages")),
            ("view_unredacted", _("Can download and export what is redacted on pages")),
        )
        default_permissions = ("view", "delete")

    def __str__(self) -> str:
        return f"{self.channel} {self.event_id}"

    @property
    def is_pending(self) -> bool:
        return self.log_ms is None

    @property
    def location(self) -> str | None:
        """``<partition>.<ms>-<seq>``, ``None`` while pending."""
        return None if self.log_ms is None else f"{self.partition}.{self.log_ms}-{self.log_seq}"

    @property
    def logged_at(self) -> datetime | None:
        """When Redis took it, by its clock."""
        return None if self.log_ms is None else datetime.fromtimestamp(self.log_ms / 1000, UTC)

    @property
    def payload_bytes(self) -> bytes:
        """The payload as it was published."""
        return b64decode(self.payload) if self.binary else self.payload.encode()

    @property
    def data(self) -> Any:
        """The payload as Python values; raises ``ValueError`` for JSON that Python cannot hold."""
        return self.payload_bytes if self.binary else parse_json(self.payload)

    def as_event(self) -> Event:
        """The row as the event that was published."""
        known = msgspec.json.decode(self.attributes, type=dict[str, str]) if self.attributes else {}
        return Event(
            id=self.event_id,
            source=self.source,
            type=self.type,
            channel=self.channel,
            time=self.time,
            payload=self.payload_bytes,
            content_type=self.content_type,
            binary=self.binary,
            key=self.key,
            correlation_id=known.pop("correlationid", ""),
            causation_id=known.pop("causationid", ""),
            traceparent=known.pop("traceparent", ""),
            headers=known,
            location=self.location,
        )


class Channel(models.Model):
    """A channel that has been seen: suggestions and filters read this small table, never all messages."""

    name = models.CharField(_("name"), max_length=MAX_ATTRIBUTE, unique=True)
    first_seen = models.DateTimeField(_("first seen"))

    class Meta:
        verbose_name = _("channel")
        verbose_name_plural = _("channels")
        ordering = ("name",)
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.name


class Cursor(models.Model):
    """Where a reader stands in a partition of the log; moved only by compare-and-set, together with what it stored."""

    reader = models.CharField(_("reader"), max_length=50)
    partition = models.PositiveSmallIntegerField(_("partition"))
    epoch = models.CharField(_("epoch"), max_length=16, blank=True)
    run_id = models.CharField(
        _("server"), max_length=40, blank=True, help_text=_("The run id of the Redis that was read last.")
    )
    fence = models.BigIntegerField(_("fence"), default=0, help_text=_("Grows each time a reader takes over."))
    log_ms = models.BigIntegerField(_("position (ms)"), default=0)
    log_seq = models.BigIntegerField(_("position (sequence)"), default=0)
    moved_at = models.DateTimeField(_("moved at"), null=True)

    class Meta:
        verbose_name = _("cursor")
        verbose_name_plural = _("cursors")
        constraints = (
            models.UniqueConstraint(fields=["reader", "partition"], name="messaging_cursor_reader"),
        )
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.reader}/{self.partition} at {self.log_ms}-{self.log_seq}"


class Quarantine(models.Model):
    """An entry of the log that is not an event, or that the database refused: its bytes and the reason."""

    partition = models.PositiveSmallIntegerField(_("partition"))
    epoch = models.CharField(_("epoch"), max_length=16)
    log_ms = models.BigIntegerField(_("logged (ms)"))
    log_seq = models.BigIntegerField(_("sequence"))
    reason = models.TextField(_("reason"))
    body = models.BinaryField(_("body"))
    quarantined_at = models.DateTimeField(_("quarantined at"))

    class Meta:
        verbose_name = _("quarantined entry")
        verbose_name_plural = _("quarantined entries")
        constraints = (
            models.UniqueConstraint(
                fields=["epoch", "partition", "log_ms", "log_seq"], name="messaging_quarantine_entry"
            ),
        )
        permissions = (("retry_quarantine", "Can store quarantined entries again"),)
        default_permissions = ("view", "delete")

    def __str__(self) -> str:
        return f"{self.location}: {self.reason}"

    @property
    def location(self) -> str:
        return f"{self.partition}.{self.log_ms}-{self.log_seq}"


class Gap(models.Model):
    """A span of the log that may have been lost before it was stored. A loss is never silent."""

    partition = models.PositiveSmallIntegerField(_("partition"))
    reason = models.CharField(_("reason"), max_length=50)
    from_epoch = models.CharField(_("from epoch"), max_length=16, blank=True)
    from_position = models.CharField(_("from position"), max_length=41)
    to_epoch = models.CharField(_("to epoch"), max_length=16, blank=True)
    to_position = models.CharField(_("to position"), max_length=41, blank=True)
    missed = models.BigIntegerField(_("messages missed"), null=True, help_text=_("Empty: not known."))
    noticed_at = models.DateTimeField(_("noticed at"))

    class Meta:
        verbose_name = _("gap")
        verbose_name_plural = _("gaps")
        ordering = ("-noticed_at",)
        default_permissions = ("view", "delete")

    def __str__(self) -> str:
        return f"partition {self.partition} from {self.from_position}: {self.reason}"


class PendingTask(models.Model):
    """A task that was enqueued inside a transaction, until its queue is certain to have it."""

    job_id = models.CharField(_("task id"), max_length=63, unique=True)
    backend = models.CharField(_("backend"), max_length=100)
    queue = models.CharField(_("queue"), max_length=200)
    task = models.CharField(_("task"), max_length=500)
    body = models.TextField(_("body"), help_text=_("The call, as JSON."))
    options = models.TextField(_("options"), help_text=_("How it is to be run, as JSON."))
    queued_at = models.DateTimeField(_("queued at"))
    look_at = models.DateTimeField(
        _("looked at again at"), help_text=_("When the listener offers it to its queue.")
    )
    sent_at = models.DateTimeField(_("sent at"), null=True)
    sends = models.PositiveSmallIntegerField(_("times sent"), default=0, db_default=0)
    resent = models.CharField(_("sent by the sweeper"), max_length=20, blank=True, default="", db_default="")

    class Meta:
        verbose_name = _("pending task")
        verbose_name_plural = _("pending tasks")
        indexes = (models.Index(fields=["look_at"], name="messaging_pendingtask_look_at"),)
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.task} {self.job_id}"


class Subscription(models.Model):
    """A subscriber by its name: what waits for it is kept also while no release that is deployed knows it."""

    name = models.CharField(_("name"), max_length=150, unique=True)
    patterns = models.TextField(_("channels"), help_text=_("Names and patterns, a JSON list."))
    backend = models.CharField(_("backend"), max_length=100)
    queue = models.CharField(_("queue"), max_length=200)
    ordered_by = models.CharField(_("ordered by"), max_length=10, blank=True)
    template = models.TextField(_("options"), help_text=_("What its tasks have in common, as JSON."))
    since = models.TextField(_("since"), help_text=_("Where it begins in each partition, as JSON."))
    first_seen = models.DateTimeField(_("first seen"))
    seen_at = models.DateTimeField(_("seen at"), help_text=_("When a listener that knows it began to work."))

    class Meta:
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")
        ordering = ("name",)
        default_permissions = ("view", "delete")

    def __str__(self) -> str:
        return self.name
