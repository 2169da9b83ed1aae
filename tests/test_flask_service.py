"""examples/flask_service: two programs with plain redis-py beside the site, all of them real processes."""

from collections.abc import Iterator

import httpx
import pytest

from tests.processes import ROOT, Process, plain_environment, python
from tests.sites import Site
from tests.stored import stored
from tests.waiting import PATIENCE, eventually

SERVICE = ROOT / "examples" / "flask_service"


@pytest.fixture
def service(site: Site) -> Iterator[str]:
    """The address of the Flask application, on the site's broker."""
    process = Process(
        python("-m", "flask", "--app", "app", "run", "--port", "0"),
        env=plain_environment(REDIS_URL=site.broker.url),
        cwd=SERVICE,
    )
    yield process.wait_for(r"Running on (http://\S+)")[1]
    process.clean_up()


@pytest.fixture
def listener(site: Site) -> Iterator[Process]:
    """The service's listener, subscribed."""
    process = Process(
        python("listener.py", "orders.*", "updates"),
        env=plain_environment(REDIS_URL=site.broker.tcp_url),
        cwd=SERVICE,
    )
    process.wait_for("listening to orders.* updates")
    eventually(lambda: site.broker.client().publish("orders.subscribed", "?") >= 2)  # it, and the site's
    yield process
    process.clean_up()


def post(url: str, body: dict[str, object]) -> httpx.Response:
    return httpx.post(url, json=body, timeout=PATIENCE, trust_env=False)


def test_what_it_publishes_the_site_stores_and_its_listener_hears(
    site: Site, service: str, listener: Process
) -> None:
    answer = post(f"{service}/orders", {"item": "tea"})
    assert answer.status_code == 201
    order = answer.json()["order"]
    assert answer.json()["heard_by"] >= 2
    (row,) = eventually(lambda: stored(site.database.path, "orders.created"))
    assert (row.data, row.source) == (order, "/redis/pubsub")
    listener.wait_for(r'^orders\.created \{"id": 1, "item": "tea"\}$')


def test_what_it_queues_arrives_in_order(site: Site, service: str) -> None:
    for number in range(5):
        assert post(f"{service}/jobs", {"name": f"task{number}"}).status_code == 202
    eventually(lambda: len(stored(site.database.path, "inbox")) == 5)
    assert [row.data for row in stored(site.database.path, "inbox")] == [
        f"task{number}" for number in range(5)
    ]


def test_what_the_site_publishes_its_listener_prints_as_a_cloudevent(site: Site, listener: Process) -> None:
    form = {"channel": "orders.paid", "type": "order.v2", "data": '{"id": 7}'}
    with site.client() as browser:
        answer = browser.post("/messages/publish/", data=form)
    assert answer.status_code == 201, answer.text
    line = listener.wait_for(r"^orders\.paid .*$")[0]
    assert "type=order.v2 source=/broker_site" in line
    assert f"id={answer.json()['id']}" in line
    assert 'data={"id": 7}' in line
