"""A connection -> the live stream, or else Django."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker_site.settings")

django = get_asgi_application()

from messaging.live.asgi import LiveApplication  # noqa: E402 - the app registry is ready only now

application = LiveApplication(django)
