"""A response -> the same response with a Content-Security-Policy.

Django has this itself from 6.0; these lines do for 5.2 as well.
"""

from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

HEADER = "Content-Security-Policy"


class ContentSecurityPolicyMiddleware:
    """Adds ``settings.CONTENT_SECURITY_POLICY`` to each response that has no policy of its own."""

    sync_capable = async_capable = True

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if iscoroutinefunction(self):
            return self._answer(request)
        return with_policy(self.get_response(request))

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        return with_policy(await self.get_response(request))


def with_policy(response: HttpResponseBase) -> HttpResponseBase:
    """The response, with the site's policy if it came without one."""
    response.headers.setdefault(HEADER, settings.CONTENT_SECURITY_POLICY)
    return response
