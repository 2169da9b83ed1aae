"""A connection -> the live stream, or else Django."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker_site.settings")

application = get_asgi_application()
