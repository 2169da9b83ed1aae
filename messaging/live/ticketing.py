"""A request of somebody who is logged in -> a ticket for channels that they may hear, to be used without a cookie."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST

from messaging.conf import conf
from messaging.live.access import Claim, admit, user_of
from messaging.live.filters import Filter
from messaging.live.tickets import ticket
from messaging.live.writing import FORBIDDEN


@never_cache
@csrf_protect
@require_POST
def issue(request: HttpRequest) -> JsonResponse:
    """``POST /messages/ticket``, form field ``channel`` once or more -> 201 with ``ticket``, ``channels`` and
    ``seconds``, for how long a stream can be begun with it; 400, 403."""
    asked = request.POST.getlist("channel")
    if not 0 < len(asked) <= conf.LIVE_MAX_PATTERNS or not all(asked):
        return JsonResponse({"error": f"channel is needed, 1 to {conf.LIVE_MAX_PATTERNS} times"}, status=400)
    session_key = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
    user = user_of(session_key)
    if user is None or admit(Claim(Filter.of(asked), session_key)) is None:
        return JsonResponse({"error": FORBIDDEN.strip()}, status=403)
    made = {"ticket": ticket(asked, user=user), "channels": asked, "seconds": conf.LIVE_TICKET_SECONDS}
    return JsonResponse(made, status=201)
