"""The addresses in the environment -> the ones that settings need."""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured


def cache_url(broker_url: str) -> str:
    """The broker's server with another database number: 1, or 2 when the broker has 1.

    Never the same one, since the cache's ``clear()`` is FLUSHDB.
    """
    parts = urlsplit(broker_url)
    query = dict(parse_qsl(parts.query))
    broker_database = query.pop("db", None) or (parts.path.strip("/") if parts.scheme != "unix" else "")
    number = "2" if broker_database == "1" else "1"
    path = f"/{number}"
    if parts.scheme == "unix":
        path = parts.path
        query["db"] = number
    return f"{parts.scheme}://{parts.netloc}{path}{'?' if query else ''}{urlencode(query)}"


def database(url: str) -> dict[str, Any]:
    """A database URL -> Django's dictionary. Raises ImproperlyConfigured, without the URL: it may hold a password."""
    scheme = url.partition(":")[0]
    if scheme not in environ.Env.DB_SCHEMES:
        known = "sqlite:///file, postgres://user:password@host/name, mysql://..., oracle://..."
        raise ImproperlyConfigured(
            f"DATABASE_URL must be one of {known}; this one begins with {scheme[:20]!r}"
        )
    return dict(environ.Env.db_url_config(url))
