"""The doctor: each finding on the state that causes it, what it advises, and what it keeps to itself."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from django.core.management import call_command
from django.db import connection as database
from pytest_django import Settings

from messaging import connection, doctor, keys, lease, publish, rows
from messaging.doctor import durability, facts, keeping, rights, server, site
from messaging.doctor.facts import Facts
from messaging.doctor.finding import Finding
from messaging.event import new_event
from messaging.models import Gap, Quarantine
from messaging.taskqueue.durability import parse
from tests.servers import TestServer

pytestmark = pytest.mark.django_db

PASSWORD = "s3cret"

GOOD: dict[str, Any] = {
    "redis_version": "7.0.15",
    "redis_mode": "standalone",
    "connected_clients": 3,
    "maxclients": 10_000,
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "aof_last_bgrewrite_status": "ok",
    "rdb_last_bgsave_status": "ok",
    "rdb_last_save_time": 0,
    "maxmemory_policy": "noeviction",
    "maxmemory": 1000,
    "used_memory": 100,
    "total_system_memory": 10_000,
    "role": "master",
}
CONFIG = {"appendfsync": "everysec", "save": "", "dir": "/data", "timeout": "0", "tcp-keepalive": "300"}


def judged(
    info: dict[str, Any] | None = None, config: dict[str, str] | None = None, **more: Any
) -> list[Finding]:
    """What is found of a good server with these differences."""
    told = Facts(
        GOOD | (info or {}), CONFIG | (config or {}), **{"round_trip": 0.0002, "blocked": 1.0} | more
    )
    return [*server.examine(told), *keeping.examine(told)]


def bad(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(each.level, each.topic) for each in findings if each.level != "ok"]


def test_a_good_server_has_nothing_wrong() -> None:
    assert bad(judged()) == []


@pytest.mark.parametrize(
    ("info", "config", "expected"),
    [
        ({"redis_version": "6.2.14"}, {}, ("problem", "version")),
        ({"valkey_version": "7.2.4"}, {}, ("problem", "version")),
        ({"dragonfly_version": "df-v1.2"}, {}, ("warning", "version")),
        ({"redis_mode": "cluster"}, {}, ("problem", "mode")),
        ({"redis_mode": "sentinel"}, {}, ("problem", "mode")),
        ({"connected_clients": 9000}, {}, ("warning", "clients")),
        ({"aof_enabled": 0}, {}, ("problem", "persistence")),
        ({"aof_enabled": 0}, {"save": "3600 1"}, ("warning", "persistence")),
        ({}, {"appendfsync": "no"}, ("warning", "persistence")),
        ({"loading": 1}, {}, ("warning", "persistence")),
        ({"aof_last_write_status": "err"}, {}, ("problem", "disk")),
        ({"aof_last_bgrewrite_status": "err"}, {}, ("warning", "disk")),
        ({"rdb_last_bgsave_status": "err"}, {"save": "3600 1"}, ("problem", "disk")),
        ({"rdb_last_bgsave_status": "err"}, {}, ("warning", "disk")),
        ({"maxmemory_policy": "allkeys-lru"}, {}, ("problem", "eviction")),
        ({"maxmemory_policy": "volatile-ttl"}, {}, ("warning", "eviction")),
        ({"used_memory": 800}, {}, ("warning", "memory")),
        ({"used_memory": 950}, {}, ("problem", "memory")),
        ({"maxmemory": 0}, {}, ("note", "memory")),
        ({"maxmemory": 0, "used_memory": 9000}, {}, ("problem", "memory")),
        ({"role": "slave", "master_host": "h", "master_port": 6379}, {}, ("problem", "role")),
        ({}, {"min-replicas-to-write": "1"}, ("problem", "role")),
        ({"slave0": {"state": "wait_bgsave", "offset": 0}}, {}, ("warning", "role")),
        ({}, {"timeout": "30"}, ("note", "idle")),
        ({}, {"tcp-keepalive": "0"}, ("note", "keepalive")),
        ({}, {"client-output-buffer-limit": "normal 1048576 0 0 pubsub 0 0 0"}, ("warning", "buffers")),
    ],
)
def test_what_a_server_says_of_itself(
    info: dict[str, Any], config: dict[str, str], expected: tuple[str, str]
) -> None:
    found = judged(info, config)
    assert bad(found) == [expected]
    (finding,) = (each for each in found if each.level != "ok")
    assert finding.why
    assert finding.remedy or finding.command or finding.topic == "persistence"


def test_an_eviction_policy_without_a_limit_is_only_a_warning() -> None:
    assert ("warning", "eviction") in bad(judged({"maxmemory_policy": "allkeys-lru", "maxmemory": 0}))


def test_a_replica_that_keeps_up_is_fine() -> None:
    info = {"slave0": {"state": "online", "offset": 90}, "master_repl_offset": 100}
    (role,) = (each for each in judged(info) if each.topic == "role")
    assert role.what == "master, 1 of 1 replicas online, at most 10 bytes behind"


@pytest.mark.parametrize(
    ("info", "config", "asked", "level"),
    [
        ({}, {"appendfsync": "always"}, "fsync", "ok"),
        ({}, {}, "fsync", "note"),
        ({"redis_version": "7.0.15"}, {}, "fsync", "problem"),
        ({"aof_enabled": 0}, {}, "fsync+replicas", "problem"),
        ({}, {}, "replicas", "warning"),
        ({"redis_version": "7.0.15", "slave0": {"state": "online"}}, {}, "replicas", "ok"),
        ({"slave0": {"state": "online"}}, {}, "replicas=2", "warning"),
    ],
)
def test_what_queues_ask_for_and_the_server_can_confirm(
    info: dict[str, Any], config: dict[str, str], asked: str, level: str
) -> None:
    told = Facts(GOOD | {"redis_version": "7.2.4"} | info, CONFIG | config)
    (found,) = durability.examine(told, [("default", "payments", parse(asked))])
    assert found.level == level
    assert found.what.startswith(f"queue 'payments' of 'default' asks for '{asked}'")


def test_the_queues_that_ask_stand_in_the_settings(
    broker: TestServer, swift: None, settings: Settings
) -> None:
    options = {"DURABILITY": {"payments": "replicas", "*": "memory"}}
    settings.TASKS = {"default": {"BACKEND": "messaging.taskqueue.RedisTaskBackend", "OPTIONS": options}}
    assert findings()["durability"].level == "warning"


@pytest.mark.parametrize(("limit", "level"), [(1, "warning"), (32, "note"), (256, "ok"), (0, None)])
def test_the_buffer_of_a_subscriber_matters_to_who_captures(
    settings: Settings, limit: int, level: str | None
) -> None:
    text = f"normal 0 0 0 slave 268435456 67108864 60 pubsub {limit * 1024 * 1024} 8388608 60"
    assert "buffers" not in [each.topic for each in judged(config={"client-output-buffer-limit": text})]
    settings.MESSAGING = {"CAPTURE_CHANNELS": ["*"]}
    found = [
        each.level for each in judged(config={"client-output-buffer-limit": text}) if each.topic == "buffers"
    ]
    assert found == ([] if level is None else [level])


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"round_trip": 0.05}, ("note", "reachable")),
        ({"round_trip": 0.2}, ("warning", "reachable")),
        ({"clock_ahead": -3.0}, ("note", "clock")),
        ({"clock_ahead": 90.0}, ("warning", "clock")),
        ({"blocked": 0.0, "cut": "Connection closed by server."}, ("warning", "waiting")),
    ],
)
def test_what_is_measured(more: dict[str, Any], expected: tuple[str, str]) -> None:
    assert bad(judged(**more)) == [expected]


def test_a_server_that_tells_nothing_is_named_as_that() -> None:
    told = Facts({}, {}, round_trip=0.0002)
    assert bad([*server.examine(told), *keeping.examine(told)]) == [("warning", "INFO")]


# -- on a real server ---------------------------------------------------------------------------------------------


@pytest.fixture
def swift(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for news."""
    monkeypatch.setattr(facts, "BLOCK_MS", 1)


def findings(*, level: str | None = None) -> dict[str, Finding]:
    """By topic."""
    return {
        each.topic: each
        for section in doctor.examine().sections
        for each in section.findings
        if level in (None, each.level)
    }


def beat(broker: TestServer, **report: Any) -> None:
    said = {
        "owner": "here:1:ab", "in_charge": True, "holder": "here:1:ab", "stored": 0, "captured": 0,
        "lag_seconds": 0.0, "failures": {}, "at": datetime.now(UTC).timestamp(),
    }  # fmt: skip
    broker.client().set(keys.heartbeat(), json.dumps(said | report), ex=60)


def test_a_site_in_good_order(broker: TestServer, swift: None) -> None:
    beat(broker)
    publish("orders", 1, outbox=False)
    found = doctor.examine()
    assert found.answers
    assert not found.sick
    by_topic = findings()
    assert by_topic["version"].what.startswith("Valkey ")
    assert by_topic["persistence"].what.startswith("append-only file on, appendfsync everysec")
    assert "things that are needed (asked by ACL DRYRUN)" in by_topic["rights"].what
    assert by_topic["log"].what == "1 entry of 1,000,000 (0%)"
    assert by_topic["listener"].level == by_topic["outbox"].level == by_topic["gaps"].level == "ok"


def test_looking_changes_nothing(broker: TestServer, swift: None, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"CAPTURE_LISTS": ["inbox"], "CAPTURE_CHANNELS": ["news", "a*"]}
    client = broker.client()
    client.rpush("inbox", "first", "last")
    publish("orders", 1, outbox=False)
    listening = client.pubsub()
    listening.psubscribe("*")
    listening.get_message(timeout=30)
    before = {key: client.dump(key) for key in client.scan_iter()}
    doctor.examine()
    _limited(broker, "+@all", "-acl", "~*", "&*")
    settings.MESSAGING = settings.MESSAGING | {"URL": _as_user(broker)}
    connection.reset()
    assert "each tried without effect" in findings()["rights"].what
    assert {key: client.dump(key) for key in client.scan_iter()} == before
    heard = [each["channel"] for each in iter(lambda: listening.get_message(timeout=0.2), None)]
    assert [each for each in heard if not each.startswith(b"messaging:")] == []


def _limited(broker: TestServer, *rules: str) -> None:
    broker.client().execute_command("ACL", "SETUSER", "limited", "reset", "on", f">{PASSWORD}", *rules)


def _as_user(broker: TestServer, password: str = PASSWORD) -> str:
    return f"unix://limited:{password}@{broker.socket}?db=0"


@pytest.fixture
def limited(
    broker: TestServer, settings: Settings, swift: None
) -> Iterator[Callable[..., dict[str, Finding]]]:
    """`limited("+@all", "~*")`: what is found as a user with these rules."""

    def look(*rules: str) -> dict[str, Finding]:
        _limited(broker, *rules)
        settings.MESSAGING = settings.MESSAGING | {"URL": _as_user(broker)}
        connection.reset()
        return findings()

    yield look
    broker.client().execute_command("ACL", "DELUSER", "limited")


@pytest.mark.parametrize("ask", ["+acl", "-acl"])
def test_a_command_that_is_denied(limited: Callable[..., dict[str, Finding]], ask: str) -> None:
    found = limited("+@all", "-xadd", "-xtrim", ask, "~*", "&*")
    assert found["publish"].level == "problem"
    assert found["publish"].what == "user 'limited' may not: command xadd"
    assert found["publish"].command.endswith("ACL SETUSER limited +xadd")
    assert found["listen"].what == "user 'limited' may not: command xtrim"
    assert "read" not in found
    assert "rights" not in found


@pytest.mark.parametrize("ask", ["+acl", "-acl"])
def test_keys_that_are_denied(
    limited: Callable[..., dict[str, Finding]], ask: str, settings: Settings
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"CAPTURE_LISTS": ["inbox"]}
    found = limited("+@all", ask, "~messaging:*", "&*")
    assert "read" not in found
    assert found["listen"].level == "problem"
    assert found["listen"].command.endswith("ACL SETUSER limited '~messaging:*' '~inbox'")


def test_channels_that_are_denied(limited: Callable[..., dict[str, Finding]], settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"CAPTURE_CHANNELS": ["*"]}
    found = limited("+@all", "~*", "&messaging:*")
    assert found["Pub/Sub"].level == "warning"
    assert found["Pub/Sub"].command.endswith("ACL SETUSER limited '&orders.created'")
    assert found["capture"].level == "problem"
    assert found["capture"].what == "user 'limited' may not: channel *"


def test_what_it_advises_is_enough(broker: TestServer, limited: Callable[..., dict[str, Finding]]) -> None:
    """Nothing but the advice, until there is no more of it."""
    rules: list[str] = ["+ping", "+time", "+info", "+select", "+config|get", "+client"]
    for _ in range(10):
        found = limited(*rules)
        words = [each.command.partition("SETUSER limited ")[2].split() for each in found.values()]
        new = [word.strip("'") for each in words for word in each if word.strip("'") not in rules]
        if not new:
            break
        rules += new
    assert found["rights"].level == "ok", rules


def test_a_user_that_may_nothing_is_a_finding_and_no_crash(
    limited: Callable[..., dict[str, Finding]],
) -> None:
    assert limited("-@all")["reachable"].what.startswith("it refuses: ")


@pytest.mark.parametrize(
    ("setting", "topic", "level"),
    [
        (("maxmemory-policy", "allkeys-lru", "noeviction"), "eviction", "warning"),
        (("appendonly", "no", "yes"), "persistence", "problem"),
        (("appendfsync", "no", "everysec"), "persistence", "warning"),
        (("timeout", "10", "0"), "idle", "note"),
    ],
)
def test_settings_of_the_server(
    broker: TestServer, swift: None, setting: tuple[str, str, str], topic: str, level: str
) -> None:
    name, wrong, right = setting
    saves = broker.client().config_get("save")["save"]
    broker.client().config_set("save", "")
    broker.client().config_set(name, wrong)
    try:
        found = findings()[topic]
        assert found.level == level
        assert found.command.startswith(f"redis-cli -s {broker.socket} CONFIG SET ")
        broker.client().execute_command(*found.command.split("redis-cli -s")[1].split()[1:])
        assert findings(level="ok").get(topic) or topic == "idle"
    finally:
        broker.client().config_set(name, right)
        broker.client().config_set("save", saves)


def test_a_replica(broker: TestServer, swift: None) -> None:
    broker.client().execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        assert findings()["role"].what == "a replica of 127.0.0.1:1"
    finally:
        broker.client().execute_command("REPLICAOF", "NO", "ONE")


@pytest.mark.redis7
def test_redis_itself(redis7_server: TestServer, settings: Settings, swift: None) -> None:
    settings.MESSAGING = settings.MESSAGING | {"URL": redis7_server.tcp_url}
    connection.reset()
    found = findings()
    assert found["version"].what.startswith("Redis 7.")
    assert found["rights"].level == "ok"
    connection.reset()
    redis7_server.client().execute_command(
        "ACL", "SETUSER", "limited", "reset", "on", ">s3cret", "+@all", "-acl", "~x*", "&*"
    )
    settings.MESSAGING = settings.MESSAGING | {
        "URL": f"redis://limited:s3cret@127.0.0.1:{redis7_server.port}/0"
    }
    found = findings()
    assert found["read"].what.startswith("user 'limited' may not: a key of xread; ")
    assert found["read"].command == (
        f"redis-cli -h 127.0.0.1 -p {redis7_server.port} --user limited --askpass "
        "ACL SETUSER limited '~messaging:*'"
    )
    connection.reset()


# -- the log, the listener, the rows ------------------------------------------------------------------------------


def test_no_listener(broker: TestServer, swift: None) -> None:
    found = findings(level="problem")
    assert list(found) == ["listener"]
    assert found["listener"].command == "manage.py listen"


def test_a_listener_with_a_part_that_fails(broker: TestServer, swift: None) -> None:
    beat(broker, failures={"outbox": "the database is away"})
    assert findings()["listener"].what == "its outbox: the database is away"


def test_a_log_that_is_nearly_full(broker: TestServer, swift: None, settings: Settings) -> None:
    for n in range(8):
        publish("orders", n, outbox=False)
    settings.MESSAGING = settings.MESSAGING | {"MAX_LOG_ENTRIES": 10, "REPLAY_ENTRIES": 5}
    assert findings()["log"].level == "warning"
    settings.MESSAGING = settings.MESSAGING | {"MAX_LOG_ENTRIES": 8}
    assert findings()["log"].level == "problem"


def test_a_log_without_an_epoch(broker: TestServer, swift: None) -> None:
    publish("orders", 1, outbox=False)
    broker.client().delete(keys.epoch(0))
    assert findings(level="warning")["log"].what == "the log has no epoch"


def test_a_clock_that_was_set_back(broker: TestServer, swift: None) -> None:
    publish("orders", 1, outbox=False)
    later = int((datetime.now(UTC) + timedelta(hours=2)).timestamp() * 1000)
    broker.client().xadd(keys.log(0), {"e": "{}"}, id=f"{later}-0")
    assert "in the future" in findings(level="warning")["log"].what


def test_keys_that_are_not_as_they_should_be(broker: TestServer, swift: None) -> None:
    client = broker.client()
    client.set(keys.log(0), "mine")
    assert findings(level="problem")["keys"].what == "messaging:{0}:log is a string, not a stream"
    client.flushall()
    publish("orders", 1, outbox=False)
    client.expire(keys.log(0), 100)
    assert "expires in" in findings(level="problem")["keys"].what
    client.persist(keys.log(0))
    client.set(keys.lease(), "somebody")
    assert findings(level="problem")["keys"].what == "messaging:{listener}:lease has no expiry"


def test_rows_that_wait_or_were_lost(broker: TestServer, swift: None) -> None:
    beat(broker)
    now = datetime.now(UTC)
    rows.pending_row(new_event("orders", 1, source="/tests"), now - timedelta(minutes=5)).save()
    Quarantine.objects.create(
        partition=0, epoch="", log_ms=1, log_seq=0, reason="bad", body=b"", quarantined_at=now
    )
    gap = Gap.objects.create(partition=0, reason="reborn", from_position="1-0", noticed_at=now)
    found = findings()
    assert (found["outbox"].level, found["quarantine"].level) == ("problem", "warning")
    assert found["outbox"].what == "1 pending, the oldest for 5 min"
    assert found["gaps"].level == "warning"
    Gap.objects.filter(pk=gap.pk).update(noticed_at=now - timedelta(days=3))
    assert findings()["gaps"].level == "note"


# -- the site -----------------------------------------------------------------------------------------------------


def test_settings_that_are_wrong(broker: TestServer, swift: None, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"CHANEL_PREFIX": "x"}
    found = findings(level="problem")["settings"]
    assert found.what.startswith("messaging.E001: ")
    assert found.remedy == "Did you mean 'CHANNEL_PREFIX'?"


def test_settings_that_cannot_work_at_all(settings: Settings, swift: None) -> None:
    settings.MESSAGING = {"URL": "http://user:s3cret@localhost/"}
    found = doctor.examine()
    assert not found.answers
    assert found.sick
    assert "s3cret" not in str(found)


def test_a_cache_in_the_same_database_however_it_is_spelled(
    broker: TestServer, swift: None, settings: Settings
) -> None:
    backend = {"BACKEND": "django_redis.cache.RedisCache"}
    settings.CACHES = {"default": backend | {"LOCATION": f"redis://localhost:{broker.port}/0"}}
    found = findings()["cache"]
    assert found.level == "problem"
    settings.CACHES = {"default": backend | {"LOCATION": f"redis://localhost:{broker.port}/1"}}
    found = findings()["cache"]
    assert found.level == "note"
    settings.CACHES = {"default": backend | {"LOCATION": "redis://localhost:1/0"}}
    assert "cache" not in findings()


def test_a_database_without_the_tables(
    broker: TestServer, swift: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "lacking", lambda alias: "messaging's tables")
    assert findings()["migrations"].command == "manage.py migrate"


def test_sqlite_that_is_not_set_up_for_several_writers(monkeypatch: pytest.MonkeyPatch) -> None:
    if database.vendor != "sqlite":
        return
    monkeypatch.setitem(database.settings_dict, "OPTIONS", {})
    found = [each.what for each in site.database_findings() if each.level != "ok"]
    assert found == ["transactions begin without the write lock", "writers wait 5 s for each other"]


# -- the command --------------------------------------------------------------------------------------------------


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], swift: None) -> Callable[..., tuple[int, str]]:
    """`call("--json")` -> exit code, what it printed."""

    def run(*arguments: str) -> tuple[int, str]:
        code: Any = 0
        try:
            call_command("messaging", "doctor", *arguments)
        except SystemExit as end:
            code = end.code
        return code, capsys.readouterr().out

    return run


Call = Callable[..., tuple[int, str]]


def test_exit_codes(broker: TestServer, call: Call) -> None:
    code, said = call()
    assert code == 4
    assert "  problem  listener     none is in charge\n" in said
    beat(broker)
    code, said = call()
    assert code == 0
    assert said.splitlines()[-1].endswith(" ok.")
    assert "\x1b" not in said
    broker.stop()
    code, said = call()
    assert code == 1
    assert "no answer: " in said
    assert "migrations" in said


def test_json(broker: TestServer, call: Call) -> None:
    code, said = call("--json")
    found = json.loads(said)
    assert (code, found["answers"], found["counts"]["problem"]) == (4, True, 1)
    (listener,) = (f for s in found["sections"] for f in s["findings"] if f["level"] == "problem")
    assert listener["command"] == "manage.py listen"


def test_only_what_should_be_changed(broker: TestServer, call: Call) -> None:
    lines = call("--problems")[1].splitlines()
    assert lines[0] == "Messages"
    assert "problem" in lines[1]


@pytest.mark.parametrize("password", ["s3cret", "wr0ng"])
def test_no_password_is_printed(broker: TestServer, settings: Settings, call: Call, password: str) -> None:
    _limited(broker, "+@all", "-xadd", "~*", "&*")
    settings.MESSAGING = settings.MESSAGING | {"URL": _as_user(broker, password)}
    settings.CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": f"unix://limited:{password}@{broker.socket}?db=1",
        }
    }
    connection.reset()
    code, said = call()
    assert code == (4 if password == "s3cret" else 1)
    assert password not in said
    assert "limited:***@" in said
    if password == "wr0ng":
        assert "it does not let us in: " in said
    broker.client().execute_command("ACL", "DELUSER", "limited")


def test_a_server_that_dies_meanwhile(
    broker: TestServer, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(client: redis.Redis) -> Iterator[Finding]:
        raise redis.ConnectionError("gone")
        yield

    monkeypatch.setattr(rights, "examine", die)
    code, said = call()
    assert code == 4
    assert "no answer: gone" in said


def test_a_lease_is_not_taken_by_looking(broker: TestServer, swift: None) -> None:
    doctor.examine()
    assert lease.Lease(connection.client()).hold()


# -- what checks say


def test_every_check_of_messaging_is_a_finding(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.MESSAGING = settings.MESSAGING | {
        "CHANEL_PREFIX": "x",
        "SCHEDULE": {"nightly": {"task": "shop.nothing", "every": 60}},
    }
    options = {"MAX_ATEMPTS": 3, "ENQUEUE_ON_COMMIT": True}
    settings.TASKS = {"default": {"BACKEND": "messaging.taskqueue.RedisTaskBackend", "OPTIONS": options}}

    def found() -> set[tuple[str, str]]:
        return {
            (each.level, each.what.partition(":")[0])
            for each in site.settings_findings()
            if each.what.startswith("messaging.")
        }

    every = {("problem", f"messaging.{number}") for number in ("E001", "E012", "E101")}
    assert found() == every
    settings.SILENCED_SYSTEM_CHECKS = ["messaging.E012"]
    assert found() == every - {("problem", "messaging.E012")}

    settings.SILENCED_SYSTEM_CHECKS = []
    settings.ROOT_URLCONF = "tests.nowhere"
    assert found() == every - {("problem", "messaging.E101")}
    (warning,) = (each for each in site.settings_findings() if each.level == "warning")
    assert (
        warning.what
        == "manage.py check --deploy ends with ModuleNotFoundError: No module named 'tests.nowhere'"
    )
