"""The app's place in Django: its name, its checks, everybody's subscribers, the background listener if asked for."""

from __future__ import annotations

import django
from django.apps import AppConfig
from django.conf import global_settings, settings
from django.core.checks import Tags, register
from django.core.signals import request_started
from django.utils.translation import gettext_lazy as _


class MessagingConfig(AppConfig):
    name = "messaging"
    verbose_name = _("Messaging")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from messaging import checks  # noqa: F401 (registers them)

        if django.VERSION >= (6, 0) and settings.TASKS != global_settings.TASKS:
            from django import tasks  # noqa: F401 (registers the check that asks our backends: nothing else loads it)
        from messaging.background import start_if_asked
        from messaging.subscribers import autodiscover
        from messaging.taskchecks import check_tasks

        register(check_tasks, Tags.compatibility)
        request_started.connect(start_if_asked, dispatch_uid="messaging.background")
        autodiscover()
