"""A saved parcel -> a message on the channel ``parcels.saved``."""

from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

from examples.parcels.models import Parcel
from messaging import publish


@receiver(post_save, sender=Parcel)
def saved(sender: type[Parcel], instance: Parcel, **kwargs: Any) -> None:
    """``outbox=True``: the message is a row first, sent after the commit, and never lost; saving waits for no Redis."""
    parcel = {"id": instance.pk, "name": instance.name, "state": instance.state}
    publish("parcels.saved", parcel, key=str(instance.pk), outbox=True)
