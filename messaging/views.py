"""A request -> the live page, one message, a published message. Thin: what they show is decided elsewhere.

The stream itself is not here: see messaging.live.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST, require_safe

from messaging import redaction, rows, single
from messaging.attributes import check_attribute, check_channel
from messaging.conf import conf
from messaging.doctor.facts import cli
from messaging.entered import NotJson, data_of
from messaging.errors import BrokerError, InvalidMessage, MessageTooLarge, Unencodable
from messaging.event import new_id
from messaging.live.access import may_hear
from messaging.models import Channel, Message
from messaging.patterns import matches_any
from messaging.publisher import publish as publish_event

logger = logging.getLogger("messaging.publish")

VIEW, PUBLISH = "messaging.view_message", "messaging.publish_message"
MAX_SUGGESTIONS = 500
NOT_HEARD = "this user may not read this channel"

View = Callable[..., HttpResponseBase]


def wants_json(request: HttpRequest) -> bool:
    """``?format=json``, or an Accept header that names JSON before HTML."""
    if asked := request.GET.get("format"):
        return asked == "json"
    return request.headers.get("Accept", "").startswith("application/json")


def needs(permission: str) -> Callable[[View], View]:
    """Lets those with the permission in. Others: a program gets 403, a person the login page, or 403 if logged in."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.user.has_perm(permission):
                return view(request, *args, **kwargs)
            if request.method == "POST" or wants_json(request):
                return JsonResponse({"error": f"the permission {permission} is needed"}, status=403)
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            raise PermissionDenied(f"The permission {permission} is needed.")

        return guarded

    return decorate


@never_cache
@require_safe
@needs(VIEW)
def live(request: HttpRequest) -> HttpResponse:
    """The live log page."""
    may_publish = request.user.has_perm(PUBLISH)
    context = {
        "may_publish": may_publish,
        "captures": matches_any(conf.CAPTURE_CHANNELS, "updates"),
        "redis_cli": cli() if may_publish else "redis-cli",  # where Redis is concerns nobody else
        "stored_url": _admin_url(request, "changelist"),
        "login_url": resolve_url(settings.LOGIN_URL),
        "saved_filters": conf.LIVE_FILTERS,
        "export_rows": f"{conf.EXPORT_ROWS:,}",
    }
    return render(request, "messaging/live.html", context)


@csrf_protect
@require_POST
@needs(PUBLISH)
def publish(request: HttpRequest) -> JsonResponse:
    """Form fields ``channel``, ``data`` (JSON or text; ``kind`` = text or json decides), ``type``, ``key`` -> 201; or
    202 if Redis does not take the message and it waits in the outbox. Its id is the same there: should Redis have taken
    it and only the answer be missing, it is stored once."""
    errors: dict[str, list[str]] = {}
    channel = request.POST.get("channel", "").strip()
    extra = {name: request.POST.get(name, "").strip() or None for name in ("type", "key")}
    data: Any = None
    kind = request.POST.get("kind", "auto")
    try:
        check_channel(channel)
    except InvalidMessage as error:
        errors["channel"] = [_sentence(error)]
    for name, value in extra.items():
        try:
            if value is not None:
                check_attribute(name, value)
        except InvalidMessage as error:
            errors[name] = [_sentence(error)]
    try:
        data = data_of(
            request.POST.get("data", ""), "text" if kind == "text" else "json" if kind == "json" else "auto"
        )
    except NotJson as error:
        errors["data"] = [f"This is not JSON: {error}."]
    if errors:
        return JsonResponse({"errors": errors}, status=400)
    call: dict[str, Any] = extra | {"id": new_id(), "time": timezone.now()}
    try:
        try:
            event, waits = publish_event(channel, data, **call), False
        except BrokerError as error:
            logger.warning(
                "%s on %s for %s waits in the outbox: %s", call["id"], channel, request.user, error
            )
            event, waits = publish_event(channel, data, **call, outbox=True), True
    except (MessageTooLarge, Unencodable) as error:
        return JsonResponse({"errors": {"data": [_sentence(error)]}}, status=400)
    except InvalidMessage as error:
        return JsonResponse({"errors": {"channel": [_sentence(error)]}}, status=400)
    except DatabaseError as error:
        logger.warning("%s on %s for %s is not published: %s", call["id"], channel, request.user, error)
        return JsonResponse({"error": "Not published: neither Redis nor the database takes it."}, status=503)
    if not waits:
        logger.info("published %s on %s for %s", event.id, channel, request.user)
    answer = {"id": event.id, "channel": event.channel, "position": event.location, "waits": waits}
    return JsonResponse(answer, status=202 if waits else 201)


@never_cache
@require_safe
@needs(VIEW)
def at(request: HttpRequest, location: str) -> HttpResponseBase:
    """What stands at ``<partition>.<ms>-<seq>``: the stored row, or the entry of the log that is not stored (yet)."""
    try:
        found = single.at(location)
    except BrokerError as error:
        if wants_json(request):
            return JsonResponse({"error": _sentence(error)}, status=503)
        return render(request, "messaging/unreachable.html", {"error": _sentence(error)}, status=503)
    if found is None:
        if wants_json(request):
            return JsonResponse({"error": "it is neither stored nor in the log"}, status=404)
        raise Http404("It is neither stored nor in the log.")
    if found.row.pk and not wants_json(request):
        return redirect("messaging:message", pk=found.row.pk)
    return _one(request, found)


@never_cache
@require_safe
@needs(VIEW)
def message(request: HttpRequest, pk: int) -> HttpResponseBase:
    """One stored message."""
    return _one(request, single.stored(get_object_or_404(Message.objects.using(conf.DATABASE), pk=pk)))


@never_cache
@require_safe
@needs(VIEW)
def raw(request: HttpRequest, pk: int) -> HttpResponse:
    """The payload's bytes as a download: as published for those who may have that, else as they may see it."""
    row = get_object_or_404(Message.objects.using(conf.DATABASE), pk=pk)
    if not may_hear(request.user, row.channel):
        raise PermissionDenied(NOT_HEARD)
    if not redaction.may_see_all(request.user):
        row, _ = rows.seen_by(row, request.user)
    body, suffix = single.payload_file(row)
    name = re.sub(r"[^\w.-]+", "_", row.channel, flags=re.ASCII)[:80]
    kind = "application/octet-stream" if row.binary else "text/plain; charset=utf-8"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}-{pk}.{suffix}"',
        "X-Content-Type-Options": "nosniff",
    }
    return HttpResponse(body, content_type=kind, headers=headers)


@never_cache
@require_safe
@needs(VIEW)
def channels(request: HttpRequest) -> JsonResponse:
    """Names of channels that have been seen, for suggestions."""
    names = Channel.objects.using(conf.DATABASE).values_list("name", flat=True)[:MAX_SUGGESTIONS]
    return JsonResponse({"channels": [name for name in names if may_hear(request.user, name)]})


def _one(request: HttpRequest, found: single.Single) -> HttpResponse:
    if not may_hear(request.user, found.row.channel):
        if wants_json(request):
            return JsonResponse({"error": NOT_HEARD}, status=403)
        raise PermissionDenied(NOT_HEARD)
    found = found.seen_by(request.user)
    if wants_json(request):
        return HttpResponse(found.json(), content_type="application/json")
    context = single.page(found) | {
        "may_see_all": redaction.may_see_all(request.user),
        "change_url": _admin_url(request, "change", found.row.pk),
    }
    if request.user.has_perm(PUBLISH):
        context["again_url"] = _admin_url(request, "publish_again", found.row.pk)
    return render(request, "messaging/message.html", context)


def _admin_url(request: HttpRequest, page: str, *args: Any) -> str:
    """A page of the admin's for messages; "" for those who cannot open it, and in a project without the admin."""
    if not (request.user.is_staff and request.user.has_perm(VIEW)) or None in args:
        return ""
    try:
        return reverse(f"admin:messaging_message_{page}", args=args)
    except NoReverseMatch:
        return ""


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
