"""The app's place in Django: its name, and the signal that publishes what is saved."""

from django.apps import AppConfig


class ParcelsConfig(AppConfig):
    name = "examples.parcels"
    label = "parcels"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from examples.parcels import publishing  # noqa: F401 (it connects the signal)
