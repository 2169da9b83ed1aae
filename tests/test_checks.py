"""``manage.py check`` says what is wrong with the settings, each with its id."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from messaging.checks import check_deployment, check_settings

URL = "redis://127.0.0.1:6379/0"


def ids(**messaging: object) -> list[str | None]:
    with override_settings(MESSAGING={"URL": URL} | messaging):
        return [found.id for found in check_settings()]


def test_good_settings_have_nothing_to_say() -> None:
    assert ids(CAPTURE_CHANNELS=["*"], CHANNEL_PREFIX="staging:", PUBLISH_BUDGET=2) == []


def test_the_checks_are_registered() -> None:
    with override_settings(MESSAGING={"CHANEL_PREFIX": "x"}):
        assert "messaging.E001" in [found.id for found in run_checks()]


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
        ("NAMESPACE", "a{b}"),
        ("NAMESPACE", ""),
        ("DATABASE", "none"),
    ],
)
def test_a_value_out_of_range_is_an_error(name: str, value: object) -> None:
    assert ids(**{name: value}) == ["messaging.E003"]


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
        ("redis://h/3", "", ["messaging.W002"]),
        ("redis://h/3", "staging:", []),
        ("redis://h/0", "", []),
    ],
)
def test_deploying_into_a_numbered_database_without_a_prefix_is_a_warning(
    url: str, prefix: str, expected: list[str]
) -> None:
    with override_settings(MESSAGING={"URL": url, "CHANNEL_PREFIX": prefix}):
        assert [found.id for found in check_deployment()] == expected
