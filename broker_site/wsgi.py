"""A request -> Django under a WSGI server. The stream works there too, at the cost of a thread for each browser."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker_site.settings")

application = get_wsgi_application()
