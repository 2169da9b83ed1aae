"""settings.MESSAGING -> typed values."""

from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings
from pytest_django import Settings

from messaging.conf import conf, forget, of_settings
from messaging.conf import names as keys_of_the_settings
from messaging.errors import Misconfigured
from messaging.keys import epoch, heartbeat, lease, log, partition_of, probe_channel


def test_a_changed_setting_counts_at_once() -> None:
    with override_settings(MESSAGING={"PARTITIONS": 3}):
        assert conf.PARTITIONS == 3
        with override_settings(MESSAGING={"PARTITIONS": 5}):
            assert conf.PARTITIONS == 5
        assert conf.PARTITIONS == 3
    with override_settings(MESSAGING={}):
        assert conf.PARTITIONS == 1


def test_without_the_dict_every_key_has_its_default(settings: Settings) -> None:
    del settings.MESSAGING
    assert conf.PARTITIONS == 1
    assert conf.URL == "redis://127.0.0.1:6379/0"


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("PUBLISH_BUDGET", 2, 2.0),
        ("CAPTURE_CHANNELS", ["a", "b"], ("a", "b")),
        ("CAPTURE_LISTS", {"inbox"}, ("inbox",)),
    ],
)
def test_a_value_of_a_kin_type_is_taken(name: str, given: Any, value: Any) -> None:
    with override_settings(MESSAGING={name: given}):
        assert getattr(conf, name) == value
        assert type(getattr(conf, name)) is type(value)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("PARTITIONS", "3"),
        ("PARTITIONS", True),
        ("PARTITIONS", None),
        ("MAX_EVENT_BYTES", 1e6),
        ("CAPTURE_CHANNELS", "*"),
        ("LISTEN_IN_WEB", 1),
        ("PUBLISH_BUDGET", True),
        ("PUBLISH_BUDGET", "1"),
        ("URL", b"redis://"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_key_and_value(name: str, given: Any) -> None:
    with override_settings(MESSAGING={name: given}), pytest.raises(Misconfigured) as caught:
        getattr(conf, name)
    assert repr(name) in str(caught.value)
    assert repr(given) in str(caught.value)


def test_the_source_is_the_project_unless_it_is_set(settings: Settings) -> None:
    settings.MESSAGING = {"SOURCE": ""}
    settings.ROOT_URLCONF = "shop.site.urls"
    assert conf.source == "/shop"
    settings.MESSAGING = {"SOURCE": "https://shop.example/"}
    assert conf.source == "https://shop.example/"


def test_what_is_made_of_settings_is_made_again_when_they_change() -> None:
    made: list[int] = []

    @of_settings
    def partitions() -> int:
        made.append(conf.PARTITIONS)
        return conf.PARTITIONS

    with override_settings(MESSAGING={"PARTITIONS": 3}):
        assert [partitions(), partitions()] == [3, 3]
    with override_settings(MESSAGING={"PARTITIONS": 5}):
        assert [partitions(), partitions()] == [5, 5]
    assert made == [3, 5]


def test_a_bare_assignment_counts_when_it_is_told() -> None:
    before = settings.MESSAGING
    try:
        assert conf.PARTITIONS == 1
        settings.MESSAGING = {"PARTITIONS": 7}
        forget()
        assert conf.PARTITIONS == 7
    finally:
        settings.MESSAGING = before
        forget()


def test_every_name_is_a_key_of_the_settings() -> None:
    assert {"URL", "PARTITIONS", "CAPTURE_DENY", "LIVE_RING"} <= set(keys_of_the_settings())
    assert all(name.isupper() for name in keys_of_the_settings())


# -- keys


@override_settings(MESSAGING={"NAMESPACE": "shop"})
def test_every_key_is_in_the_namespace_and_keys_of_one_partition_share_a_slot() -> None:
    assert log(2) == "shop:{2}:log"
    assert epoch(2) == "shop:{2}:epoch"
    assert lease() == "shop:{listener}:lease"
    assert heartbeat() == "shop:{listener}:heartbeat"
    assert probe_channel("x") == "shop:probe:x"


def test_a_channel_always_lives_in_the_same_partition() -> None:
    with override_settings(MESSAGING={"PARTITIONS": 1}):
        assert partition_of("orders.created") == 0
    with override_settings(MESSAGING={"PARTITIONS": 4}):
        # Fixed: another version that computed it differently would tear a channel's order apart.
        names = ("orders.created", "a", "b", "c", "d", "ünï")
        assert [partition_of(name) for name in names] == [1, 3, 1, 3, 0, 2]
        assert {partition_of(f"c{n}") for n in range(100)} == {0, 1, 2, 3}
