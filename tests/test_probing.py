"""What a process says of itself -> the answers of its probe port."""

import pytest

from messaging.probing import Probe


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def probe(now: list[float]) -> Probe:
    return Probe(None, name="worker", silent_seconds=15, clock=lambda: now[0])


def test_before_the_first_word(probe: Probe) -> None:
    assert probe.answer("/healthz")[0] == 200
    assert probe.answer("/readyz") == (
        503,
        b'{"ready":false,"reasons":["it has not begun yet"],"worker":null}',
    )
    assert probe.answer("/") == (404, b'{"error":"there are /healthz and /readyz"}')


def test_at_work(probe: Probe) -> None:
    probe.show({"busy": 1})
    assert probe.answer("/readyz") == (200, b'{"ready":true,"reasons":[],"worker":{"busy":1}}')


def test_who_waits_is_healthy_and_not_ready(probe: Probe) -> None:
    probe.show({}, idle=["Redis is away"])
    assert probe.answer("/healthz")[0] == 200
    assert probe.answer("/readyz") == (503, b'{"ready":false,"reasons":["Redis is away"],"worker":{}}')


def test_who_is_stuck_is_neither(probe: Probe) -> None:
    probe.show({}, stuck=["the relay hangs"])
    assert probe.answer("/healthz") == (503, b'{"healthy":false,"reasons":["the relay hangs"],"worker":{}}')
    assert probe.answer("/readyz")[0] == 503


def test_who_says_nothing_hangs(probe: Probe, now: list[float]) -> None:
    probe.show({})
    now[0] = 15.0
    assert probe.answer("/healthz")[0] == 200
    now[0] = 16.0
    assert probe.answer("/healthz") == (
        503,
        b'{"healthy":false,"reasons":["it has not said a word for 16 s"],"worker":{}}',
    )
    assert probe.answer("/readyz")[0] == 503
    probe.show({})
    assert probe.answer("/healthz")[0] == 200
