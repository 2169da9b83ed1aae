"""Settings, URLs and ASGI application of the smallest site with django-eventstream. Loaded by its own Python alone."""

import json

from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

DEBUG = False
SECRET_KEY = "for benchmarks only"  # noqa: S105
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = __name__
ASGI_APPLICATION = f"{__name__}.application"
INSTALLED_APPS = ["daphne", "django.contrib.contenttypes", "django.contrib.auth", "django_eventstream"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
USE_TZ = True


def publish(request: HttpRequest) -> HttpResponse:
    """A JSON array: each of it one event."""
    from django_eventstream import send_event

    for each in json.loads(request.body):
        send_event("bench", "message", each)
    return HttpResponse("ok")


urlpatterns = [
    path("stream", include("django_eventstream.urls"), {"channels": ["bench"]}),
    path("publish", publish),
]


def __getattr__(name: str) -> object:
    if name == "application":  # not before the settings are read
        return get_asgi_application()
    raise AttributeError(name)
