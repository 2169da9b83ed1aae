"""A number -> messages of the size and shape that a shop would publish."""

from __future__ import annotations

from typing import Any

CHANNELS = ("orders.created", "orders.paid", "orders.shipped", "stock.changed", "users.signed_up")


def data(number: int) -> dict[str, Any]:
    """About 150 bytes of JSON."""
    return {
        "order": number,
        "customer": f"customer-{number % 997}@example.org",
        "total": f"{number % 500}.95",
        "currency": "EUR",
        "lines": [{"sku": "A-1017", "count": 2}, {"sku": "B-2209", "count": 1}],
    }


def messages(count: int) -> list[tuple[str, Any]]:
    """Pairs for publish_many()."""
    return [(CHANNELS[number % len(CHANNELS)], data(number)) for number in range(count)]
