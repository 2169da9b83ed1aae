"""Settings -> connections: by URL, by a django-redis alias, by Sentinel; and what a wrong setting says."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.cache import caches
from pytest_django import Settings
from redis.asyncio.sentinel import SentinelConnectionPool as AsyncSentinelConnectionPool
from redis.sentinel import SentinelConnectionPool

import messaging
from messaging import connection, log, wire
from messaging.errors import Misconfigured
from tests.servers import TestServer, free_port
from tests.waiting import eventually


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    wire.reset()
    connection.reset()


def logged() -> list[object]:
    entries = log.between(connection.client(), 0, log.START, None, count=1000)
    return [entry.event().data for entry in entries]


@pytest.mark.parametrize("address", ["url", "tcp_url"])
def test_a_url_over_a_unix_socket_or_tcp_is_enough(
    broker: TestServer, settings: Settings, address: str
) -> None:
    settings.MESSAGING = {"URL": getattr(broker, address)}
    messaging.publish("c", 1)
    assert logged() == [1]


def test_the_database_number_and_the_user_are_those_of_the_url(
    broker: TestServer, settings: Settings
) -> None:
    admin = broker.client()
    admin.execute_command("ACL", "SETUSER", "shop", "reset", "on", ">p@ss/w:rd", "+@all", "~*", "&*")
    settings.MESSAGING = {
        "URL": broker.tcp_url.replace("redis://", "redis://shop:p%40ss%2Fw%3Ard@")[:-1] + "3"
    }
    messaging.publish("c", 1)
    assert logged() == [1]
    assert connection.client().execute_command("ACL", "WHOAMI") == b"shop"
    third = broker.client(db=3)
    assert third.dbsize() == 2
    third.flushdb()
    connection.reset()
    wire.reset()
    admin.execute_command("ACL", "DELUSER", "shop")


def test_a_cache_alias_brings_its_server_and_leaves_its_options(
    broker: TestServer, settings: Settings
) -> None:
    """The cache's own time-outs, retries, decoding and prefix are for the cache."""
    settings.CACHES = settings.CACHES | {
        "redis": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": broker.url,
            "KEY_PREFIX": "prefix",
            "OPTIONS": {
                "SOCKET_TIMEOUT": 0.01,
                "CONNECTION_POOL_KWARGS": {"decode_responses": True, "max_connections": 1},
            },
        }
    }
    settings.MESSAGING = {"CACHE_ALIAS": "redis"}
    messaging.publish("c", 1)
    assert logged() == [1]
    client = connection.client(timeout=5)
    assert client.execute_command("BLPOP", "nothing", 0.1) is None  # longer than the cache waits
    assert client.connection_pool.connection_kwargs["socket_timeout"] == 5
    many = [client.connection_pool.get_connection() for _ in range(5)]
    for each in many:
        client.connection_pool.release(each)
    assert broker.client().exists("messaging:{0}:log")
    caches["redis"].close()


@pytest.fixture
def sentinel(valkey_server: TestServer, short_directory: Path) -> Iterator[int]:
    """The port of a Sentinel that watches the server under the name `shop`."""
    port = free_port()
    binary = Path(f"/proc/{valkey_server.pid}/exe").resolve()
    config = short_directory / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {short_directory}\nlogfile {short_directory}/log\n"
        f"sentinel monitor shop 127.0.0.1 {valkey_server.port} 1\n"
    )
    process = subprocess.Popen(
        [binary, config, "--sentinel"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)


def test_a_cache_behind_sentinel_brings_its_master(
    broker: TestServer, sentinel: int, settings: Settings
) -> None:
    settings.DJANGO_REDIS_CONNECTION_FACTORY = "django_redis.pool.SentinelConnectionFactory"
    settings.CACHES = settings.CACHES | {
        "shop": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": "redis://shop/0",
            "OPTIONS": {
                "CLIENT_CLASS": "django_redis.client.SentinelClient",
                "CONNECTION_POOL_CLASS": "redis.sentinel.SentinelConnectionPool",
                "SENTINELS": [("127.0.0.1", sentinel)],
                "SENTINEL_KWARGS": {"socket_timeout": 1},
            },
        }
    }
    settings.MESSAGING = {"CACHE_ALIAS": "shop"}
    assert isinstance(connection.pool(timeout=1.0), SentinelConnectionPool)
    eventually(lambda: _publishes(1), message="Sentinel knows the master")
    messaging.publish("c", 2)
    assert logged()[-1] == 2

    made = connection.async_client()
    assert isinstance(made.connection_pool, AsyncSentinelConnectionPool)


def _publishes(data: int) -> bool:
    wire.reset()
    try:
        return bool(messaging.publish("c", data).location)
    except messaging.BrokerError:
        return False


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"URL": "http://:secret@broker/"}, "is not a Redis URL: 'http://:***@broker/'"),
        ({"URL": "broker:6379"}, "is not a Redis URL: 'broker:6379'"),
        ({"URL": ""}, "is not a Redis URL: ''"),
        ({"URL": "redis://u:secret@broker:port/0"}, "'redis://u:***@broker:port/0'"),
        ({"CACHE_ALIAS": "nowhere"}, "'nowhere'"),
        ({"CACHE_ALIAS": "default"}, "'default'"),  # Django's own cache in memory
    ],
)
def test_a_wrong_setting_is_told_with_its_value_but_no_password(
    settings: Settings, given: dict[str, Any], said: str
) -> None:
    settings.MESSAGING = given
    with pytest.raises(Misconfigured) as caught:
        connection.client()
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("redis://h:1/0", "redis://h:1/0"),
        ("redis://:p@h", "redis://:***@h"),
        ("rediss://u:p@q@h", "rediss://u:***@h"),
        ("unix://u:p@/run/r.sock?db=1", "unix://u:***@/run/r.sock?db=1"),
        ("unix:///run/r.sock?db=1&password=secret", "unix:///run/r.sock?db=1&password=***"),
        ("redis://h?username=u&password=secret", "redis://h?username=u&password=***"),
    ],
)
def test_an_address_in_a_log_has_no_password(url: str, safe: str) -> None:
    assert connection.safe_url(url) == safe


def test_one_pool_serves_all_threads(broker: TestServer) -> None:
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(connection.pool(timeout=2.0))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(pool) for pool in found}) == 1


def test_connections_to_what_is_a_replica_now_are_left_whoever_tells(broker: TestServer) -> None:
    client = connection.client()
    pool = client.connection_pool

    def caused(by: Exception, *, told: bool) -> Exception:
        try:
            try:
                raise by
            except Exception as error:
                if told:
                    raise messaging.BrokerRefused("no") from error
                raise redis.ConnectionError("the previous master is now a replica")  # noqa: B904 (as redis-py does)
        except Exception as error:
            return error

    demoted = redis.ReadOnlyError("no")
    for error, left in (
        (redis.ResponseError("no"), False),
        (demoted, True),
        (caused(demoted, told=True), True),
        (caused(demoted, told=False), True),
    ):
        client.ping()
        (idle,) = pool._available_connections
        held = pool.get_connection()
        assert held is idle
        connection.heed(error)
        pool.release(held)
        assert (held._sock is None) is left
