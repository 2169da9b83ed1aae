"""An app that takes a safeguard away: every process of the site loads it before it does anything."""

import os

from django.apps import AppConfig

from tests.kills.ledger import VARIANT


class Variant(AppConfig):
    name = "tests.kills"
    label = "kills"

    def ready(self) -> None:
        from tests.kills.variants import VARIANTS  # needs the apps

        VARIANTS[os.environ[VARIANT]]()
