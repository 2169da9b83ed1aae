"""``manage.py check`` says what is wrong with the settings, each with its id."""

from __future__ import annotations

import subprocess

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from messaging import checks
from messaging.checks import check_deployment, check_settings
from messaging.conf import Conf, names
from messaging.taskchecks import check_tasks
from messaging.taskqueue import RedisTaskBackend
from tests.processes import ROOT, plain_environment, python
from tests.waiting import PATIENCE

URL = "redis://127.0.0.1:6379/0"


def ids(**messaging: object) -> list[str | None]:
    with override_settings(MESSAGING={"URL": URL} | messaging):
        return [found.id for found in check_settings()]


def test_good_settings_have_nothing_to_say() -> None:
    assert ids(CAPTURE_CHANNELS=["*"], CHANNEL_PREFIX="staging:", PUBLISH_BUDGET=2) == []


def test_the_checks_are_registered() -> None:
    with override_settings(MESSAGING={"CHANEL_PREFIX": "x"}):
        assert "messaging.E001" in [found.id for found in run_checks()]


BACKENDS = """
import django
django.setup()
from django.conf import settings
from django.core import checks
settings.TASKS["default"]["OPTIONS"]["MAX_ATEMPTS"] = 3
print([error.id for error in checks.run_checks()])
"""


def test_backends_of_tasks_are_asked_whoever_loads_them() -> None:
    env = plain_environment(DJANGO_SETTINGS_MODULE="broker_site.settings", DATABASE_URL="sqlite://:memory:")
    made = subprocess.run(
        python("-c", BACKENDS),
        env=env,
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert made.stdout == "['messaging.E101']\n"


OURS = "messaging.taskqueue.RedisTaskBackend"


@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        ({"BACKEND": OURS}, ["messaging.W010"]),
        ({"BACKEND": OURS, "OPTIONS": {"MAX_ATTEMPTS": 2}}, ["messaging.W010"]),
        ({"BACKEND": "tests.test_checks.Grown"}, ["messaging.W010"]),
        ({"BACKEND": OURS, "OPTIONS": {"ENQUEUE_ON_COMMIT": False}}, []),
        ({"BACKEND": OURS, "OPTIONS": {"ENQUEUE_ON_COMMIT": "default"}}, []),
        ({"BACKEND": OURS, "OPTIONS": "text"}, []),  # E101 says it
        ({"BACKEND": "nothing.of.that.Name"}, []),
        ({"BACKEND": "messaging.conf.Conf"}, []),
    ],
)
def test_a_backend_that_does_not_say_what_a_transaction_means_to_it(
    backend: dict[str, object], expected: list[str]
) -> None:
    with override_settings(TASKS={"default": backend}):
        found = check_tasks()
    assert [each.id for each in found] == expected
    assert all("TASKS['default']" in each.msg for each in found)


class Grown(RedisTaskBackend):
    """One of a site's own."""


PAGES = """
import django
django.setup()
from django.contrib import admin, auth
from django.core import checks
print([site.name for site in admin.sites.all_sites if site._registry])
class Broken(admin.ModelAdmin):
    list_display = ["nothing"]
admin.site.register(auth.models.Permission, Broken)
print([error.id for error in checks.run_checks(tags=["admin"])])
print(sorted(model.__name__ for model in admin.site._registry))
"""


def test_the_admins_pages_are_looked_for_when_they_are_checked_and_not_before() -> None:
    env = plain_environment(DJANGO_SETTINGS_MODULE="broker_site.settings", DATABASE_URL="sqlite://:memory:")
    made = subprocess.run(
        python("-c", PAGES), env=env, cwd=ROOT, check=True, capture_output=True, text=True, timeout=PATIENCE
    )
    before, found, after = made.stdout.splitlines()
    assert before == "[]"
    assert found == "['admin.E108']"
    assert all(f"'{name}'" in after for name in ("Message", "Gap", "User", "Group"))


def test_an_unknown_key_is_named_with_the_one_that_was_meant() -> None:
    with override_settings(MESSAGING={"CHANEL_PREFIX": "x"}):
        (found,) = check_settings()
    assert found.id == "messaging.E001"
    assert "'CHANEL_PREFIX'" in found.msg
    assert found.hint == "Did you mean 'CHANNEL_PREFIX'?"


@pytest.mark.parametrize(
    ("name", "value"),
    [("PARTITIONS", "2"), ("LISTEN_IN_WEB", 1), ("CAPTURE_LISTS", "inbox"), ("PUBLISH_BUDGET", True)],
)
def test_a_value_of_the_wrong_type_is_named(name: str, value: object) -> None:
    with override_settings(MESSAGING={name: value}):
        (found,) = check_settings()
    assert found.id == "messaging.E002"
    assert name in found.msg
    assert repr(value) in found.msg


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PARTITIONS", 0),
        ("PUBLISH_BUDGET", -1.0),
        ("LEASE_SECONDS", float("nan")),
        ("TASK_LEASE_SECONDS", 0.0),
        ("TASK_STOP_SECONDS", -1.0),
        ("NAMESPACE", "a{b}"),
        ("NAMESPACE", ""),
        ("DATABASE", "none"),
    ],
)
def test_a_value_out_of_range_is_an_error(name: str, value: object) -> None:
    assert ids(**{name: value}) == ["messaging.E003"]


def test_every_number_has_a_range() -> None:
    numbers = [name for name in names() if type(getattr(Conf, name)) in (int, float)]
    assert sorted(numbers) == sorted((*checks._POSITIVE, *checks._NOT_NEGATIVE))


@pytest.mark.parametrize(
    ("name", "value", "id", "said"),
    [
        ("LIVE_MAY_HEAR", "shop.nosuch", "messaging.E008", "No module named 'shop'"),
        ("LIVE_MAY_HEAR", "tests.hearing.nosuch", "messaging.E008", '"nosuch"'),
        ("LIVE_MAY_HEAR", "tests.processes.ROOT", "messaging.E008", "'tests.processes.ROOT' is no function"),
        ("LIVE_MAY_HEAR", "nosuch", "messaging.E008", "nosuch"),
        ("LIVE_FILTERS", ["x"], "messaging.E008", "has 'x', which is no pair of a name and a query"),
        ("LIVE_FILTERS", [("a", "?q=1"), ("b", 5)], "messaging.E008", "('b', 5)"),
        ("LIVE_FILTERS", ["ab"], "messaging.E008", "'ab'"),
        ("ORDERED_CHANNELS", ["a b"], "messaging.E009", "has 'a b', which no channel matches"),
        ("ORDERED_CHANNELS", ["orders.*", "a *"], "messaging.E009", "'a *'"),
        ("ORDERED_CHANNELS", [""], "messaging.E009", "''"),
        ("ORDERED_CHANNELS", [r"orders\*"], "messaging.E009", r"'orders\\*'"),
        ("ORDERED_CHANNELS", [5], "messaging.E009", "5"),
        ("REDACT", "tests.processes.ROOT", "messaging.E007", "is no function"),
    ],
)
def test_what_would_fail_at_the_first_request_is_named(name: str, value: object, id: str, said: str) -> None:
    with override_settings(MESSAGING={"URL": URL, name: value}):
        (found,) = check_settings()
    assert found.id == id
    assert f"MESSAGING['{name}']" in found.msg
    assert said in found.msg


def test_what_works_is_not_named() -> None:
    good = {
        "LIVE_MAY_HEAR": "tests.hearing.may_hear",
        "LIVE_FILTERS": [("Failures", "?q=failed"), ["Orders", "?channel=orders.*"]],
        "ORDERED_CHANNELS": ["orders.*", "a[bc]?", "*", "plain", r"a\.[\]x]", "orders[1"],
    }
    assert ids(**good) == []


def test_a_window_above_the_cap_is_an_error() -> None:
    assert ids(REPLAY_ENTRIES=10, MAX_LOG_ENTRIES=5) == ["messaging.E003"]


def test_a_database_of_another_kind_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import connections

    monkeypatch.setattr(connections["default"], "vendor", "oracle")
    assert ids() == ["messaging.E004"]


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("redis://127.0.0.1:6379/0", ["messaging.W001"]),
        ("redis://:secret@127.0.0.1", ["messaging.W001"]),
        ("redis://127.0.0.1:6379/1", []),
        ("redis://127.0.0.1:6380/0", []),
        ("unique-snowflake", []),
    ],
)
def test_a_cache_in_the_brokers_database_is_a_warning(location: str, expected: list[str]) -> None:
    cache = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": location}}
    with override_settings(CACHES=cache, MESSAGING={"URL": URL}):
        found = check_settings()
    assert [each.id for each in found] == expected
    assert all("secret" not in each.msg for each in found)


@pytest.mark.parametrize(
    ("url", "prefix", "expected"),
    [
        ("redis://localhost/3", "", ["messaging.W002"]),
        ("redis://localhost/3", "staging:", []),
        ("redis://localhost/0", "", []),
    ],
)
def test_deploying_into_a_numbered_database_without_a_prefix_is_a_warning(
    url: str, prefix: str, expected: list[str]
) -> None:
    with override_settings(MESSAGING={"URL": url, "CHANNEL_PREFIX": prefix}):
        assert [found.id for found in check_deployment()] == expected


# -- where Redis is ----------------------------------------------------------------------------------------------

REDIS_CACHE = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://h:6379/1"}
LOCAL_CACHE = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}


@pytest.mark.parametrize("url", ["", "127.0.0.1:6379", "http://h/0"])
def test_a_url_that_is_none_is_an_error(url: str) -> None:
    assert ids(URL=url) == ["messaging.E006"]


@pytest.mark.parametrize(
    ("alias", "caches", "expected"),
    [
        ("brokr", {"default": LOCAL_CACHE, "broker": REDIS_CACHE}, ["messaging.E005"]),
        ("broker", {"default": LOCAL_CACHE, "broker": LOCAL_CACHE}, ["messaging.E005"]),
        ("broker", {"default": LOCAL_CACHE, "broker": {"BACKEND": "no.such.Cache"}}, ["messaging.E005"]),
        ("default", {"default": REDIS_CACHE}, ["messaging.W006"]),
        ("broker", {"default": REDIS_CACHE, "broker": REDIS_CACHE}, ["messaging.W001"]),
        ("broker", {"default": LOCAL_CACHE, "broker": REDIS_CACHE}, []),
    ],
)
def test_an_alias_that_is_no_cache_of_redis_or_everybodys(
    alias: str, caches: dict[str, dict[str, str]], expected: list[str]
) -> None:
    with override_settings(CACHES=caches, MESSAGING={"CACHE_ALIAS": alias}):
        found = check_settings()
    assert [each.id for each in found] == expected
    if alias == "brokr":
        assert found[0].hint == "Did you mean 'broker'?"


# -- when it is deployed -----------------------------------------------------------------------------------------


def deployed(caches: dict[str, object] | None = None, debug: bool = False, **messaging: object) -> list[str]:
    with override_settings(CACHES=caches or {}, DEBUG=debug, MESSAGING={"URL": URL} | messaging):
        found = check_deployment()
    assert all("secret" not in f"{each.msg} {each.hint}" for each in found)
    return [str(each.id) for each in found]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://redis.internal:6379/0", ["messaging.W003", "messaging.W004"]),
        ("redis://:secret@10.0.0.7:6379/0", ["messaging.W003"]),
        ("rediss://10.0.0.7:6379/0", ["messaging.W004"]),
        ("rediss://user:secret@redis.internal:6379/0", []),
        ("redis://localhost/0", []),
        ("redis://127.0.0.1:6379/0", []),
        ("redis://[::1]:6379/0", []),
        ("unix:///run/redis.sock?db=0", []),
    ],
)
def test_redis_over_the_network(url: str, expected: list[str]) -> None:
    assert deployed(URL=url) == expected


def test_a_cache_alias_is_judged_by_its_location_and_password() -> None:
    location = {"LOCATION": ["rediss://h:6379/3"], "OPTIONS": {"PASSWORD": "secret"}}
    cache = {"broker": REDIS_CACHE | location}
    assert deployed(cache, CACHE_ALIAS="broker") == ["messaging.W002"]
    assert deployed(cache, CACHE_ALIAS="broker", CHANNEL_PREFIX="a:") == []
    assert deployed({"broker": LOCAL_CACHE}, CACHE_ALIAS="broker") == []


def test_debug_and_a_short_token() -> None:
    assert deployed(debug=True) == ["messaging.W005"]
    assert deployed(METRICS_TOKEN="short") == ["messaging.W007"]
    assert deployed(METRICS_TOKEN="x" * 32) == []


def test_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import connections

    monkeypatch.setitem(connections["default"].settings_dict, "OPTIONS", {})
    assert deployed() == ["messaging.W008"]
    monkeypatch.setattr(connections["default"], "vendor", "postgresql")
    assert deployed() == []
    assert deployed(DATABASE="none") == []  # E003 says it
    monkeypatch.setattr("messaging.deployment.connections", {"other": connections["default"]})
    assert deployed(DATABASE="other") == ["messaging.W009"]


def test_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not Redis, not the database, not a name server."""

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a check opens a connection")

    for name in ("connect", "connect_ex", "send", "sendall"):
        monkeypatch.setattr(f"socket.socket.{name}", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    monkeypatch.setattr("django.db.backends.base.base.BaseDatabaseWrapper.connect", refuse)
    deployed({"broker": REDIS_CACHE}, CACHE_ALIAS="broker", URL="redis://nobody.invalid/3")
    with override_settings(CACHES={"default": REDIS_CACHE}, MESSAGING={"URL": "redis://nobody.invalid/3"}):
        check_settings()
