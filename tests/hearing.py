"""A user and a channel -> yes or no, as a site would write it: first names are lists of beginnings here."""

from typing import Any


def may_hear(user: Any, channel: str) -> bool:
    return channel.startswith(tuple(user.first_name.split()) or ("nothing",))
