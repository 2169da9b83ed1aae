"""What lives in Redis, as models without tables -> permissions, pages of the admin, entries in its log."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _


class NoRows(models.Manager[Any]):
    """Nothing, without asking the database: ``dumpdata`` and others go through all models."""

    def get_queryset(self) -> models.QuerySet[Any]:
        return super().get_queryset().none()


class Tableless(models.Model):
    """``id`` is what the admin's log and addresses know it by."""

    id = models.CharField(max_length=300, primary_key=True)

    objects = NoRows()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.id)


class Queue(Tableless):
    """A queue of tasks; its id is ``backend/name``."""

    class Meta:
        managed = False
        base_manager_name = "objects"
        verbose_name = _("queue")
        verbose_name_plural = _("queues")
        default_permissions = ("view",)
        permissions = (("manage_queue", "Can pause, resume and purge queues"),)


class Task(Tableless):
    """A task in a queue, dead letters included."""

    class Meta:
        managed = False
        base_manager_name = "objects"
        verbose_name = _("task")
        verbose_name_plural = _("tasks")
        default_permissions = ("view",)
        permissions = (("manage_task", "Can cancel, run, retry and discard tasks"),)


class DeadLetter(Tableless):
    """A task that failed for good; the permissions are those of tasks."""

    class Meta:
        managed = False
        base_manager_name = "objects"
        verbose_name = _("dead letter")
        verbose_name_plural = _("dead letters")
        default_permissions = ()


class Schedule(Tableless):
    """A recurring task; whoever may view queues may view it, whoever may cancel tasks may run and pause it."""

    class Meta:
        managed = False
        base_manager_name = "objects"
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        default_permissions = ()


class Worker(Tableless):
    """A process that runs tasks; whoever may view queues may view it."""

    class Meta:
        managed = False
        base_manager_name = "objects"
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        default_permissions = ()
