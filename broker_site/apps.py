"""The admin, whose pages are looked for where they are needed: by the URLs, and by the checks of them.

Listeners, workers and commands serve no pages, and start sooner without.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.contrib import admin
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks


class AdminConfig(SimpleAdminConfig):
    default = False  # of django.contrib.admin, not of this package

    def ready(self) -> None:
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(check_pages, checks.Tags.admin)


def check_pages(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> Sequence[checks.CheckMessage]:
    """Django's own check of all pages."""
    admin.autodiscover()
    return check_admin_app(app_configs, **kwargs)
