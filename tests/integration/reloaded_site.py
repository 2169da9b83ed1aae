"""The site under `runserver`, with one file that a test changes to make it reload."""

import os
from pathlib import Path

from django.dispatch import receiver
from django.utils.autoreload import StatReloader, autoreload_started

from tests.integration.site import *  # noqa: F403


@receiver(autoreload_started)
def watch(sender: StatReloader, **signal: object) -> None:
    """Besides the modules that are loaded."""
    sender.extra_files.add(Path(os.environ["WATCHED"]))
