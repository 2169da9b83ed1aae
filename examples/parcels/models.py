"""What the boards show."""

from django.db import models


class Parcel(models.Model):
    class State(models.TextChoices):
        PACKED = "packed"
        SENT = "sent"
        DELIVERED = "delivered"

    name = models.CharField(max_length=100)
    state = models.CharField(max_length=20, choices=State.choices, default=State.PACKED)

    def __str__(self) -> str:
        return self.name
