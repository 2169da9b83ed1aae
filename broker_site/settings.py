"""The environment -> Django settings. The only file that reads the environment.

REDIS_URL             redis://, rediss:// or unix://     default: the embedded server's socket, var/valkey.sock
DATABASE_URL          sqlite:/// or postgres://          default: var/db.sqlite3
SECRET_KEY            signs sessions, forms, tasks       default: made once, kept in var/secret_key (mode 0600)
DEBUG                 true or false                      default: false
ALLOWED_HOSTS         names, comma-separated             default: localhost,127.0.0.1,[::1]
CSRF_TRUSTED_ORIGINS  https://name, comma-separated      default: none; needed behind a proxy that ends TLS
PORT                  of `manage.py up`                  default: 8000
LISTEN_IN_WEB         true or false                      default: false; the listener inside the web process
PUBLISH_BUDGET        seconds                            default: 1; what publish() may take to reach Redis
METRICS_TOKEN         lets a scraper read /metrics       default: none; then only who may view messages
LOG_LEVEL             DEBUG, INFO, WARNING ...           default: INFO
VAR_DIR               data, sockets and logs             default: var/ beside manage.py
"""

import logging
from pathlib import Path
from urllib.parse import quote

import django
import environ
from django.core.exceptions import ImproperlyConfigured

from broker_site.addresses import cache_url, database
from broker_site.secret_key import kept_secret
from broker_site.values import boolean, seconds

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var"))).absolute()

DEBUG = boolean(env, "DEBUG")
SECRET_KEY = env.str("SECRET_KEY", default="")
if not SECRET_KEY:
    try:
        SECRET_KEY = kept_secret(VAR_DIR / "secret_key")
    except OSError as error:
        raise ImproperlyConfigured(
            f"set SECRET_KEY, or make {VAR_DIR} writable so that one can be kept ({error})"
        ) from error
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
PORT = env.str("PORT", default="") or "8000"  # text: `manage.py up` checks it, no other command cares

INSTALLED_APPS = [
    "messaging",
    "broker_site.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic.runserver_nostatic",
    "django.contrib.staticfiles",
]
if django.VERSION < (6, 0):
    INSTALLED_APPS.append("django_tasks")  # the backport of what Django has from 6.0 on

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "broker_site.middleware.ContentSecurityPolicyMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "broker_site.urls"
ASGI_APPLICATION = "broker_site.asgi.application"
WSGI_APPLICATION = "broker_site.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# -- Redis: messages in one database, the cache in another, since the cache's clear() is FLUSHDB

REDIS_URL = env.str("REDIS_URL", default="")
EMBEDDED_SOCKET = None if REDIS_URL else VAR_DIR / "valkey.sock"  # `manage.py up` starts a server there
if EMBEDDED_SOCKET:
    REDIS_URL = f"unix://{quote(str(EMBEDDED_SOCKET))}?db=0"

MESSAGING = {
    "URL": REDIS_URL,
    "CAPTURE_CHANNELS": ["*"],
    "CAPTURE_LISTS": ["inbox"],
    "LISTEN_IN_WEB": boolean(env, "LISTEN_IN_WEB"),
    "METRICS_TOKEN": env.str("METRICS_TOKEN", default=""),
    "PUBLISH_BUDGET": seconds(env, "PUBLISH_BUDGET", default=1.0),
}

CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": cache_url(REDIS_URL),
        "KEY_PREFIX": "broker_site",
        "OPTIONS": {
            "SOCKET_CONNECT_TIMEOUT": 1,
            "SOCKET_TIMEOUT": 1,
            "IGNORE_EXCEPTIONS": True,  # a cache that is away is a cache miss
        },
    },
}

# -- tasks: `manage.py work` runs them

TASKS = {
    "default": {
        "BACKEND": "messaging.taskqueue.RedisTaskBackend",
        "QUEUES": ["default"],
        # Like publish(): inside a transaction a task is part of it. Django's own backends enqueue at once.
        "OPTIONS": {"ENQUEUE_ON_COMMIT": True},
    },
}

# -- the database

DATABASES = {
    "default": database(env.str("DATABASE_URL", default=f"sqlite:///{quote(str(VAR_DIR / 'db.sqlite3'))}"))
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Several processes write: WAL lets readers go on meanwhile, IMMEDIATE makes writers queue instead of failing with
    # "database is locked" when a read turns into a write, and NORMAL is durable against everything but a power cut.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
    }
    try:
        Path(DATABASES["default"]["NAME"]).parent.mkdir(
            mode=0o700, parents=True, exist_ok=True
        )  # it holds sessions
    except OSError as error:
        raise ImproperlyConfigured(f"there is no place for the database: {error}") from error
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- people

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/messages/"
LOGOUT_REDIRECT_URL = "/accounts/login/"
SESSION_ENGINE = "django.contrib.sessions.backends.db"

# -- what a browser is told

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
SERVESTATIC_USE_FINDERS = True  # straight from the apps' folders: no collectstatic before the first start
SERVESTATIC_USE_STATIC_ROOT = False
SERVESTATIC_AUTOREFRESH = DEBUG
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

# -- the log: one line an event, to stderr

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
if LOG_LEVEL not in logging.getLevelNamesMapping():
    raise ImproperlyConfigured(f"LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR, not {LOG_LEVEL!r}")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "messaging": {"level": LOG_LEVEL},
    },
}
