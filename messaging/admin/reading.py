"""What the admin pages of all our tables share: rows of the right database, never added or changed by hand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from django.utils.text import capfirst

from messaging.conf import conf

_GLOB_SIGN = re.compile(r"[*?\[\\]")

M = TypeVar("M", bound=Model)

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin
else:

    class ModelAdmin(admin.ModelAdmin):
        """Django's, with the type parameter that only type checkers know."""

        def __class_getitem__(cls, model: type[Model]) -> type:
            return cls


class ReadingAdmin(ModelAdmin[M]):
    """Rows are shown and, with the permission, deleted unless ``deletable`` is false."""

    deletable = True

    show_full_result_count = False  # counting a big table is a scan

    def get_queryset(self, request: HttpRequest) -> QuerySet[M]:
        return super().get_queryset(request).using(conf.DATABASE)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        title = capfirst(self.opts.verbose_name_plural)
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.deletable and super().has_delete_permission(request, obj)


def live_url(channel: str | None = None) -> str | None:
    """The live page, filtered by a channel; ``None`` where the app's own pages are not mounted."""
    url = page_url("live")
    if url is None or channel is None:
        return url
    pattern = _GLOB_SIGN.sub(r"\\\g<0>", channel)
    return f"{url}?{urlencode({'channel': pattern})}"


def page_url(name: str, *args: object) -> str | None:
    """One of the app's own pages; ``None`` where they are not mounted."""
    try:
        return reverse(f"messaging:{name}", args=args)
    except NoReverseMatch:
        return None


def download(body: bytes, name: str) -> HttpResponse:
    """Bytes as a file that no browser opens by itself."""
    response = HttpResponse(body, content_type="application/octet-stream")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
