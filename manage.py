#!/usr/bin/env python
"""A command line -> Django's command, under the settings of broker_site."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker_site.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
    except ImportError as error:
        sys.stderr.write(f"Django is not installed for {sys.executable}: run `make run`. ({error})\n")
        sys.exit(3)
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.stderr.write(f"Cannot start: {error}\n")
        sys.exit(3)
    except KeyboardInterrupt:  # while the command was still being loaded
        sys.exit(130)


if __name__ == "__main__":
    main()
