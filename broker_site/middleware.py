"""A response -> the same response with a Content-Security-Policy.

Django has this itself from 6.0; these lines do for 5.2 as well.
"""

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

HEADER = "Content-Security-Policy"


@sync_and_async_middleware
def ContentSecurityPolicyMiddleware(  # noqa: N802 - Django's own name for it
    get_response: Callable[[HttpRequest], HttpResponseBase]
    | Callable[[HttpRequest], Awaitable[HttpResponseBase]],
) -> Callable[[HttpRequest], HttpResponseBase] | Callable[[HttpRequest], Awaitable[HttpResponseBase]]:
    """Adds ``settings.CONTENT_SECURITY_POLICY`` to each response that has no policy of its own."""
    if iscoroutinefunction(get_response):

        async def policy(request: HttpRequest) -> HttpResponseBase:
            response = await get_response(request)
            response.headers.setdefault(HEADER, settings.CONTENT_SECURITY_POLICY)
            return response
    else:

        def policy(request: HttpRequest) -> HttpResponseBase:
            response = get_response(request)
            response.headers.setdefault(HEADER, settings.CONTENT_SECURITY_POLICY)
            return response

    return policy
