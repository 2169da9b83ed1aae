"""The site's settings, with this app in it: ``DJANGO_SETTINGS_MODULE=examples.parcels.settings make run``."""

from broker_site.settings import *  # noqa: F403
from broker_site.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "examples.parcels"]
ROOT_URLCONF = "examples.parcels.urls"
