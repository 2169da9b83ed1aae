"""What a person sends from the admin -> outbox rows: a new message, or stored ones again. Each is noted in its log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.admin import helpers
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db import connections, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from messaging import redaction
from messaging.admin.columns import PREVIEW
from messaging.admin.filters import SUGGESTIONS, channel_names
from messaging.admin.hearing import HearingAdmin, hears
from messaging.conf import conf
from messaging.errors import InvalidMessage
from messaging.event import Event
from messaging.forms import PublishForm
from messaging.models import Message
from messaging.quantities import clock, size
from messaging.rendering import preview, visible
from messaging.republisher import prepare_again, publish_again
from messaging.rows import seen_by

LAST_CHANNEL = "messaging.last_channel"  # in the session
SAMPLE = 5  # messages that the confirmation shows

FIELDSETS = (
    (None, {"fields": ("channel", "payload", "kind")}),
    ("Type, key, headers", {"fields": ("type", "key", "headers"), "classes": ("collapse",)}),
)


class PostingAdmin(HearingAdmin[Message]):
    """The views that publish."""

    add_form_template = "admin/messaging/message/add_form.html"
    publish_again_template = "admin/messaging/message/publish_again.html"

    def has_publish_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("messaging.publish_message"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_publish_permission(request)

    # -- a new message

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The form, and what it sends."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            given = request.POST.copy()
            if "_as_text" in given:
                given["kind"] = "text"
            form = PublishForm(given)
            if form.is_valid():
                return self._published(request, form)
        else:
            form = PublishForm(initial=self._initial(request))
        return self._form_page(request, form, form_url, extra_context)

    def _initial(self, request: HttpRequest) -> dict[str, str]:
        """The channel used last; or a stored message as a template."""
        pk = request.GET.get("template", "")
        if pk.isascii() and pk.isdigit() and len(pk) < 19 and self.has_view_permission(request):
            row = self.get_object(request, pk)
            if row is not None and not redaction.may_see_all(request.user) and seen_by(row, request.user)[1]:
                text = _(
                    "Parts of it are not shown to you: it can be published again as it is, and not edited."
                )
                self.message_user(request, text, messages.WARNING)
                return {"channel": row.channel}
            if row is not None:
                initial = PublishForm.initial_from(row)
                if "payload" not in initial:
                    self.message_user(
                        request, _("The payload is binary: it cannot be edited here."), messages.WARNING
                    )
                return initial
        return {"channel": request.GET.get("channel", "") or request.session.get(LAST_CHANNEL, "")}

    def _published(self, request: HttpRequest, form: PublishForm) -> HttpResponse:
        with transaction.atomic(using=conf.DATABASE):
            event = form.publish()
            row = self._row_of(request, event)
            self.log_addition(request, row, [{"added": {}}])
        request.session[LAST_CHANNEL] = event.channel
        return self._answer(request, row)

    def _answer(self, request: HttpRequest, row: Message) -> HttpResponse:
        """Tell what happened, and go where the message can be watched, or where the next one can be written."""
        may_view = self.has_view_permission(request)
        is_heard = self.is_heard(request, row)
        url = self._url("change", quote(row.pk))
        name = (
            format_html('<a href="{}">{}</a>', url, row.event_id) if may_view and is_heard else row.event_id
        )
        if not self._tell_if_waiting(request, [row]):
            told = format_html(_("Published to {}: {}."), visible(row.channel), name)
            self.message_user(request, told, messages.SUCCESS)
        if may_view and not is_heard:
            text = _("It is not shown to you: you may publish to this channel, and not read it.")
            self.message_user(request, text, messages.INFO)
        elif may_view and "_addanother" not in request.POST:
            return HttpResponseRedirect(url)
        return HttpResponseRedirect(self._url("add"))

    def _form_page(
        self, request: HttpRequest, form: PublishForm, form_url: str, extra_context: dict[str, Any] | None
    ) -> HttpResponse:
        adminform = helpers.AdminForm(form, FIELDSETS, {}, model_admin=self)  # type: ignore[arg-type]
        context = {
            **self.admin_site.each_context(request),
            "title": _("Publish a message"),
            "subtitle": None,
            "adminform": adminform,
            "form": form,
            "original": None,
            "is_popup": False,
            "media": self.media + adminform.media,
            "inline_admin_formsets": [],
            "errors": helpers.AdminErrorList(form, []),  # type: ignore[arg-type]
            "channel_names": channel_names(SUGGESTIONS, hears(request)),
            "max_bytes": conf.MAX_EVENT_BYTES,
            **(extra_context or {}),
        }
        return self.render_change_form(request, context, add=True, form_url=form_url)

    # -- stored messages again

    def publish_again_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """One message again: GET asks, POST does."""
        if not self.has_publish_permission(request):
            raise PermissionDenied
        row = self.seen(request, object_id)
        if request.method == "POST":
            new = self._send_again(request, [row])
            return (
                self._answer(request, new[0])
                if new
                else HttpResponseRedirect(self._url("change", quote(row.pk)))
            )
        return self._confirmation(request, [row], cancel_url=self._url("change", quote(row.pk)))

    def again_from_list(self, request: HttpRequest, rows: Sequence[Message]) -> HttpResponse | None:
        """The action on several: asks first, does when that page comes back."""
        if not request.POST.get("post"):
            return self._confirmation(request, rows, action="publish_again")
        if new := self._send_again(request, rows):
            text = ngettext("%d message was published again.", "%d messages were published again.", len(new))
            self.message_user(request, text % len(new), messages.SUCCESS)
            self._tell_if_waiting(request, new)
        return None

    def _send_again(self, request: HttpRequest, rows: Sequence[Message]) -> list[Message]:
        """The new rows; none if one of the messages cannot be sent."""
        try:
            with transaction.atomic(using=conf.DATABASE):
                events = publish_again(rows)
                new = [self._row_of(request, event) for event in events]
                for old, row in zip(rows, new, strict=True):
                    self.log_change(request, old, _("Published again as %s.") % row.event_id)
                    self.log_addition(request, row, _("Published again, the same as %s.") % old.event_id)
        except InvalidMessage as error:
            self.message_user(request, _("Nothing was published: %s") % error, messages.ERROR)
            return []
        return new

    def _confirmation(
        self, request: HttpRequest, rows: Sequence[Message], *, action: str = "", cancel_url: str = ""
    ) -> HttpResponse:
        channels = Counter(visible(row.channel) for row in rows)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Publish again"),
            "subtitle": None,
            "opts": self.opts,
            "original": _("Publish again"),
            "has_view_permission": True,
            "media": self.media,
            "rows": rows,
            "total": size(sum(len(row.payload_bytes) for row in rows)),
            "channels": channels.most_common(10),
            "other_channels": max(0, len(channels) - 10),
            "sample": [_sampled(seen_by(row, request.user)[0]) for row in rows[:SAMPLE]],
            "left_out": max(0, len(rows) - SAMPLE),
            "refused": list(_refused(rows)),
            "action": action,
            "action_checkbox_name": helpers.ACTION_CHECKBOX_NAME,
            "cancel_url": cancel_url or request.get_full_path(),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, self.publish_again_template, context)

    # -- both

    def seen(self, request: HttpRequest, object_id: str) -> Message:
        """A row that the user may see; 404 if there is none."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404(_("This message is not in the table (any more)."))
        return row

    def _row_of(self, request: HttpRequest, event: Event) -> Message:
        return self.get_queryset(request).get(event_id=event.id, source=event.source)

    def _tell_if_waiting(self, request: HttpRequest, rows: Sequence[Message]) -> bool:
        """A warning if Redis has not taken them; known only after the commit."""
        if connections[conf.DATABASE].in_atomic_block:
            return False
        unsent = (
            self.get_queryset(request)
            .filter(pk__in=[row.pk for row in rows], log_ms=None, sends=0, ordered=False)
            .count()
        )
        if unsent:
            text = ngettext(
                "Redis cannot be reached at the moment. The message waits in the outbox and is sent as soon as "
                "Redis is back.",
                "Redis cannot be reached at the moment. %(count)d messages wait in the outbox and are sent as soon as "
                "Redis is back.",
                unsent,
            )
            self.message_user(request, text % {"count": unsent}, messages.WARNING)
        return bool(unsent)

    def _url(self, name: str, *args: object) -> str:
        return reverse(f"{self.admin_site.name}:messaging_message_{name}", args=args)


def _sampled(row: Message) -> dict[str, Any]:
    return {
        "pk": row.pk,
        "time": clock(row.time, now=timezone.now()),
        "channel": visible(row.channel),
        "payload": preview(row.payload, row.binary, content_type=row.content_type, limit=PREVIEW),
    }


def _refused(rows: Sequence[Message]) -> list[str]:
    """Why some of these messages cannot be sent from here."""
    reasons = []
    for row in rows:
        try:
            prepare_again(row)
        except InvalidMessage as error:
            reasons.append(f"{row.event_id}: {error}")
    return reasons
