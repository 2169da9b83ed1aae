"""``settings.MESSAGING`` -> typed values, each read once.

The attributes of :class:`Conf` are the defaults, so that this file is the reference of all settings. What changes
settings by Django's own means, ``override_settings`` above all, counts at once; after a bare assignment to
``settings.MESSAGING`` call :func:`forget`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

from django.conf import settings
from django.core.signals import setting_changed

from messaging.errors import Misconfigured

T = TypeVar("T")


class Conf:
    # -- where Redis is
    URL: str = "redis://127.0.0.1:6379/0"  # redis://, rediss:// or unix://; ignored when CACHE_ALIAS is set
    CACHE_ALIAS: str = ""  # a django-redis alias of CACHES whose server (and Sentinel) is used instead of URL
    NAMESPACE: str = "messaging"  # first part of every key and private channel
    CHANNEL_PREFIX: str = ""  # put before every Pub/Sub channel: Pub/Sub ignores database numbers
    PARTITIONS: int = 1  # streams; a channel always lives in one of them

    # -- publishing
    SOURCE: str = ""  # the CloudEvents source; "" = "/" + the project's package name
    MAX_EVENT_BYTES: int = 256 * 1024  # the encoded envelope
    PUBLISH_BUDGET: float = 1.0  # seconds for connecting and sending together
    BREAKER_SECONDS: float = 1.0  # how long a failed Redis is left alone; doubles up to BREAKER_MAX_SECONDS
    BREAKER_MAX_SECONDS: float = 5.0
    DATABASE: str = "default"  # alias of the database that holds messaging's tables

    # -- the log
    MAX_LOG_ENTRIES: int = 1_000_000  # hard cap of a partition: publish() raises BrokerFull there
    REPLAY_ENTRIES: int = 100_000  # stored entries that stay in the log for replay; older ones are trimmed
    REPLAY_SECONDS: float = 0.0  # and none that is older than this; 0 = however old

    READER_SILENT_SECONDS: float = 600.0  # a reader that has something to read and does not move is reported
    READER_RETIRE_SECONDS: float = (
        0.0  # and retired, so that the log is trimmed without it; 0 = only by command
    )

    # -- listening
    CAPTURE_CHANNELS: tuple[str, ...] = ()  # foreign Pub/Sub: names and Redis globs
    CAPTURE_LISTS: tuple[str, ...] = ()  # foreign lists, drained first in, first out (LPUSH here, RPOP side)
    MAX_CAPTURE_BYTES: int = (
        4 * 1024 * 1024
    )  # of anything larger the first 64 KiB are kept and the size is noted
    CAPTURE_DENY: tuple[str, ...] = (  # globs that are never captured, whatever CAPTURE_CHANNELS says
        "__key*",  # keyspace and keyevent notifications
        "__redis__:*",
        "__sentinel__:*",
        "asgi*",  # channels_redis
        "specific.*",
        "/*.celery*",  # kombu: celery's events and remote control
        "/*.reply.celery*",
        "celery*",
        "_kombu*",
        "rq:*",
        "bull:*",
        "socketio*",
        "taskiq*",
        "+switch-master",
    )
    BATCH_SIZE: int = 1000  # rows stored in one transaction
    LEASE_SECONDS: float = 6.0  # a listener silent for this long is replaced by a standby
    LISTEN_IN_WEB: bool = False  # run the listener as a background thread of each web process
    ORDERED_CHANNELS: tuple[str, ...] = ()  # names and globs: sent in the order of commits (ordered.py)
    OUTBOX_GRACE_SECONDS: float = 5.0  # a pending row younger than this is left to the process that wrote it

    # -- tasks
    TASK_LEASE_SECONDS: float = 12.0  # a worker that is silent for so long has lost its tasks
    TASK_STOP_SECONDS: float = 5.0  # for a task that is told to stop; then its process is replaced
    READY_NEEDS_WORKER: bool = False  # /readyz answers 503 while tasks wait that no worker takes
    SCHEDULE: dict[str, Any] = {}  # noqa: RUF012 (recurring tasks by name: {"task": path, "cron": line}, see schedule.py)
    TASK_LISTS: dict[str, Any] = {}  # noqa: RUF012 (foreign list -> path of the task that gets its items, see tasklists.py)
    ALERTS: dict[str, Any] = {}  # noqa: RUF012 (thresholds of signals: dead letters, waits, silence, see alerts.py)

    # -- the table
    PRUNE_DAYS: float = 0.0  # the listener removes rows older than this; 0 = never
    PRUNE_ROWS: int = 0  # and all but the newest so many; 0 = never

    # -- /metrics
    METRICS_TOKEN: str = ""  # "Authorization: Bearer ..." with it may read; "" = only who may view messages

    # -- the live page
    LIVE_FILTERS: tuple[tuple[str, str], ...] = ()  # saved for everybody: (name, "?channel=orders.*&q=-test")
    EXPORT_ROWS: int = 100_000  # messages in one file of the page's export; it says where it was cut
    LIVE_RING: int = 10_000  # frames shared by all browsers of a process
    LIVE_PAYLOAD_BYTES: int = 8 * 1024  # a longer payload is cut in the stream and fetched on demand
    LIVE_HEARTBEAT_SECONDS: float = 15.0
    LIVE_MAX_AGE_SECONDS: float = 3600.0  # a stream ends after this, with jitter; the browser resumes
    LIVE_SEND_SECONDS: float = 30.0  # a client that takes no byte for this long is dropped
    LIVE_RECHECK_SECONDS: float = 45.0  # how often the permission of an open stream is asked again
    LIVE_CATCH_UP: int = (
        100_000  # messages sent to a client that resumes before the rest is skipped, with a gap
    )

    # -- who may hear what
    LIVE_MAY_HEAR: str = ""  # path of a function (user, channel) -> bool; "" = messaging.view_message decides
    LIVE_PUBLIC: tuple[str, ...] = ()  # names and globs of channels that anybody may hear, without a login
    LIVE_TICKET_SECONDS: float = 60.0  # a ticket is good for so long to begin a stream
    LIVE_ORIGINS: tuple[str, ...] = ()  # "https://..." of pages that may read by ticket, or what is public

    # -- what people do not get to see (redaction.py)
    REDACT_FIELDS: tuple[str, ...] = ()  # "data.**.password", "headers.authorization", "payments.*:data.card"
    REDACT: str = (
        ""  # path of a function (event, user) -> event, or of (event) -> event if it is the same for all
    )

    # -- how many streams; whoever is too many is told to come back later. 0 = no limit
    LIVE_MAX_STREAMS: int = 10_000  # of a process
    LIVE_MAX_STREAMS_PER_USER: int = 100  # of a process, as all of these
    LIVE_MAX_STREAMS_PER_ADDRESS: int = 0
    LIVE_MAX_CONNECTS_PER_SECOND: int = 2000
    LIVE_MAX_PATTERNS: int = 50  # channel= of one stream; more are refused
    LIVE_TRUSTED_PROXIES: tuple[str, ...] = ()  # addresses, networks, "unix": X-Forwarded-For is believed

    # -- made of these
    source: str  # the CloudEvents source of events published here: SOURCE, or the project's package name


class _Read:
    """Values of :class:`Conf`, each read from the settings when it is first asked for. From then on it is an attribute
    like any other: a publish asks for ten of them."""

    def __getattr__(self, name: str) -> Any:
        value = _source() if name == "source" else _value_of(name)
        setattr(self, name, value)
        return value


def _value_of(name: str) -> Any:
    default = getattr(Conf, name)
    value = getattr(settings, "MESSAGING", {}).get(name, default)
    if type(value) is type(default):
        return value
    if isinstance(default, tuple) and isinstance(value, (list, set, frozenset)):
        return tuple(value)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    raise Misconfigured(
        f"MESSAGING[{name!r}] must be {type(default).__name__}, not {type(value).__name__}: {value!r}"
    )


def _source() -> str:
    root: str | None = getattr(settings, "ROOT_URLCONF", None)
    return conf.SOURCE or "/" + (root or "django").split(".", 1)[0]


def names() -> list[str]:
    """Every known key of ``settings.MESSAGING``."""
    return [name for name in vars(Conf) if name.isupper()]


def of_settings(function: Callable[[], T]) -> Callable[[], T]:
    """A function of nothing but the settings: called once, and again when they have changed."""
    remembered = cache(function)
    _forget.append(remembered.cache_clear)
    return remembered


def forget(**_: Any) -> None:
    """Read all settings anew. Django tells of every change that its own tools make, such as ``override_settings``."""
    for each in _forget:
        each()


conf = cast(Conf, _Read())
_forget: list[Callable[[], None]] = [vars(conf).clear]
setting_changed.connect(forget, dispatch_uid="messaging.conf")
