"""A short form of ``make stress``: each thing goes wrong once, under a crowd that comes and goes."""

import pytest

from tests.sites import Database
from tests.stress.run import stress


@pytest.mark.timeout(180)
def test_every_client_sees_exactly_what_it_should_and_nothing_is_left(database_template: Database) -> None:
    steps = ["kill_redis", "restart_web", "wipe"]
    said: list[str] = []
    report = stress(database_template, steps, crowd=15, pause=0.3, waves=2, seed=1, say=said.append)
    assert report.faults == []
    assert report.connects > report.clients
    assert report.gaps >= 30  # the log was wiped once, and everybody who was there was told
    assert report.messages > 1000
