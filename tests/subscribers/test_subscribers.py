"""Declaring subscribers: names, options, what they are called with, where they are found, what is wrong with them."""

import asyncio
import dataclasses
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, TypedDict

import msgspec
import pytest
from django.apps import apps
from django.core.checks import Error
from pytest_django import Settings

import messaging
from messaging import Event, deliveries, subscribe, subscribers
from messaging.binding import bind
from messaging.errors import Misconfigured, PayloadRefused
from messaging.event import new_event
from messaging.subscribers import autodiscover, failures, registered
from messaging.taskchecks import check_tasks
from messaging.taskqueue import Exponential
from messaging.taskqueue.job import Failed
from messaging.testing import run_tasks
from tests.subscribers.conftest import TASKS, Dispatching


def on_order(event: Event) -> str:
    return event.id


class Order(msgspec.Struct):
    id: int
    total: Decimal = Decimal(0)
    pieces: Annotated[int, msgspec.Meta(ge=1)] = 1
    at: datetime | None = None


@dataclasses.dataclass
class Point:
    x: int
    y: int


class Named(TypedDict):
    name: str


def event_with(data: Any) -> Event:
    return new_event("orders.created", data, source="/shop")


# -- what a function is called with


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        (Order, {"id": 1, "total": "9.90", "at": "2026-01-01T00:00:00Z"}, None),
        (Point, {"x": 1, "y": 2}, Point(1, 2)),
        (Named, {"name": "ann"}, {"name": "ann"}),
        (dict, {"a": 1}, {"a": 1}),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (list[Point], [{"x": 1, "y": 2}], [Point(1, 2)]),
        (int, 5, 5),
        (int | None, None, None),
        (str, "text", "text"),
        (bytes, b"\xff", b"\xff"),
        (bytes, {"a": 1}, b'{"a":1}'),
        (Any, {"a": 1}, {"a": 1}),
        (Any, b"\xff", b"\xff"),
    ],
)
def test_a_payload_becomes_what_the_annotation_asks_for(kind: Any, data: Any, expected: Any) -> None:
    def function(payload: Any) -> None: ...

    function.__annotations__["payload"] = kind
    (found,) = bind(function)(event_with(data))
    if kind is Order:
        assert (found.id, found.total, found.at.year) == (1, Decimal("9.90"), 2026)
    else:
        assert found == expected


def test_the_event_itself_and_both_in_any_order() -> None:
    event = event_with({"id": 7})

    def plain(event): ...  # type: ignore[no-untyped-def]
    def both(order: Order, event: Event) -> None: ...
    def reversed_(event: "Event", order: "Order") -> None: ...
    def with_defaults(event: Event, retries: int = 3, *, log: bool = True) -> None: ...

    assert bind(plain)(event) == [event]
    assert bind(both)(event) == [Order(id=7), event]
    assert bind(reversed_)(event) == [event, Order(id=7)]
    assert bind(with_defaults)(event) == [event]


@pytest.mark.parametrize(
    ("kind", "data", "says"),
    [
        (Order, {"id": 1, "pieces": 0}, r"`\$\.pieces`"),
        (Order, {"id": "one"}, r"Expected `int`, got `str` - at `\$\.id`"),
        (list[Point], [{"x": 1, "y": 2}, {"x": 1}], r"missing required field `y` - at `\$\[1\]`"),
        (int, "five", "Expected `int`, got `str`"),
        (Order, b"\xff", r"binary \(application/octet-stream\)"),
    ],
)
def test_a_payload_that_is_not_of_the_type_is_refused_with_the_place(kind: Any, data: Any, says: str) -> None:
    def function(payload: Any) -> None: ...

    function.__annotations__["payload"] = kind
    with pytest.raises(PayloadRefused, match=says):
        bind(function)(event_with(data))


def test_a_function_that_cannot_be_called_with_an_event_is_named() -> None:
    def nothing() -> None: ...
    def three(a: Event, b: int, c: int) -> None: ...
    def two_payloads(a: int, b: int) -> None: ...
    def unsaid(a, event: Event): ...  # type: ignore[no-untyped-def]
    def keyword(event: Event, *, more: int) -> None: ...
    def unknown(order: "Ordr") -> None: ...  # type: ignore[name-defined]  # noqa: F821
    def strange(order: type) -> None: ...

    for function in (nothing, three, two_payloads, unsaid, keyword, unknown, strange):
        with pytest.raises(Misconfigured, match=function.__name__):
            bind(function)


# -- declaring


@pytest.fixture
def declaring(empty_registry: None, settings: Settings) -> None:
    settings.TASKS = TASKS


def test_the_function_stays_what_it_is_and_its_name_is_its_path(declaring: None) -> None:
    assert subscribe("orders.*", "orders.*", queue="mails", max_attempts=5)(on_order) is on_order
    subscriber = registered["tests.subscribers.test_subscribers.on_order"]
    assert (subscriber.patterns, subscriber.queue) == (("orders.*",), "mails")
    assert subscriber.wants("orders.x")
    assert messaging.subscribe is subscribe


@pytest.mark.parametrize(
    ("patterns", "options", "says"),
    [
        ((), {}, "at least one channel"),
        (("",), {}, "channels and patterns, not ''"),
        ((on_order,), {}, "channels and patterns, not <function"),
        (("c",), {"name": "no blanks"}, "not 'no blanks'"),
        (("c",), {"name": "x" * 200}, "1 to 150"),
        (("c",), {"ordered_by": "value"}, "ordered_by"),
    ],
)
def test_what_cannot_work_is_refused_at_once(
    declaring: None, patterns: tuple[Any, ...], options: dict[str, Any], says: str
) -> None:
    with pytest.raises(Misconfigured, match=says):
        subscribe(*patterns, **options)(on_order)
    with pytest.raises(TypeError, match="'tries'"):
        subscribe("c", tries=3)  # type: ignore[call-arg]


def test_a_function_without_a_path_of_its_own_needs_a_name(declaring: None) -> None:
    with pytest.raises(Misconfigured, match="give it one with name="):
        subscribe("c")(lambda event: None)
    subscribe("c", name="shop.lambda")(lambda event: None)
    assert "shop.lambda" in registered


def test_a_name_belongs_to_one_function(declaring: None) -> None:
    subscribe("c", name="shop.x")(on_order)
    subscribe("d", name="shop.x")(on_order)  # its module was loaded again
    with pytest.raises(Misconfigured, match=r"two subscribers are called 'shop\.x'"):
        subscribe("c", name="shop.x")(lambda event: None)


def test_options_reach_the_task(declaring: None) -> None:
    subscribe(
        "c",
        name="shop.x",
        max_attempts=4,
        timeout=3,
        backoff=Exponential(first=1),
        limit=2,
        priority=7,
        keep_results=0,
    )(on_order)
    template = deliveries.template_of(registered["shop.x"])
    assert (template.max_attempts, template.timeout_ms, template.limit, template.priority) == (4, 3000, 2, 7)
    assert template.keep_ms == deliveries.REMEMBERED_MS
    assert template.task == "messaging.deliveries.shop:x"


# -- running


def test_a_payload_that_does_not_fit_is_a_dead_letter_at_once(dispatching: Dispatching) -> None:
    def on_created(order: Order) -> None:
        raise AssertionError("it is not called")

    subscribe("orders.created", name="shop.on_created", max_attempts=9)(on_created)
    dispatcher = dispatching()
    messaging.publish("orders.created", {"id": 1, "total": "much"})
    dispatching(dispatcher)
    (ran,) = run_tasks()
    assert isinstance(ran.outcome, Failed)
    assert "messaging.errors.PayloadRefused" in ran.error
    assert "at `$.total`" in ran.error
    assert ran.outcome.reason.startswith("gave up: the payload of event")


def test_a_coroutine_is_a_subscriber_too_and_what_fails_is_tried_again(dispatching: Dispatching) -> None:
    seen: list[Any] = []

    async def on_created(data: dict[str, Any], event: Event) -> None:
        await asyncio.sleep(0)
        seen.append((data, event.key))
        if len(seen) == 1:
            raise OSError("not yet")

    subscribe("orders.created", name="shop.acreated", max_attempts=2, backoff=0)(on_created)
    dispatcher = dispatching()
    messaging.publish("orders.created", {"id": 1}, key="ann")
    dispatching(dispatcher)
    assert [ran.succeeded for ran in run_tasks(delayed=True)] == [False, True]
    assert seen == [({"id": 1}, "ann")] * 2


@pytest.mark.parametrize("is_async", [False, True], ids=["function", "coroutine"])
def test_what_a_subscriber_returns_is_nobodys_and_runs_nothing_again(
    dispatching: Dispatching, is_async: bool
) -> None:
    seen: list[Event] = []

    def on_created(event: Event) -> Decimal:
        seen.append(event)
        return Decimal("9.90")

    async def aon_created(event: Event) -> Decimal:
        return on_created(event)

    subscribe("orders.created", name="shop.total", max_attempts=3)(aon_created if is_async else on_created)
    dispatcher = dispatching()
    messaging.publish("orders.created", {"id": 1})
    dispatching(dispatcher)
    (ran,) = run_tasks(delayed=True)
    assert ran.succeeded
    assert len(seen) == 1


# -- finding


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declaring: None, settings: Settings) -> Any:
    """`app(text)` installs an app whose subscribers.py has this text."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names: list[str] = []

    def install(text: str | None) -> str:
        name = f"app{len(names)}_of_{tmp_path.name.replace('-', '_')}"
        names.append(name)
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        if text is not None:
            (tmp_path / name / "subscribers.py").write_text(text)
        settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, name]
        return name

    yield install
    failures.clear()
    for name in list(sys.modules):
        if name.split(".")[0] in names:
            del sys.modules[name]


DECLARES = 'from messaging import subscribe\n@subscribe("c")\ndef on(event): ...\n'


def test_subscribers_of_every_app_are_found_when_django_starts(app: Any) -> None:
    name = app(DECLARES)
    app(None)
    apps.get_app_config("messaging").ready()
    assert list(registered) == [f"{name}.subscribers.on"]
    assert check_tasks() == []


def test_one_that_cannot_be_imported_stops_nobody_and_is_reported(app: Any) -> None:
    broken, sound = app("import nothing_of_that_name\n"), app(DECLARES)
    autodiscover()
    assert list(registered) == [f"{sound}.subscribers.on"]
    (error,) = check_tasks()
    assert (error.id, isinstance(error, Error)) == ("messaging.E010", True)
    assert f"{broken}.subscribers cannot be imported: ModuleNotFoundError" in error.msg


def test_checks_name_what_cannot_be_dispatched_to(declaring: None, settings: Settings) -> None:
    def wrong(a: int, b: int) -> None: ...

    subscribe("c", name="shop.wrong")(wrong)
    subscribe("c", name="shop.nowhere", backend="nowhere")(on_order)
    found = {error.msg.split("'")[1]: error for error in check_tasks()}
    assert {error.id for error in found.values()} == {"messaging.E011"}
    assert "shop.wrong" in found
    assert "RedisTaskBackend" in (found["shop.nowhere"].hint or "")


SEND = "tests.subscribers.shop.send"


@pytest.mark.parametrize(
    ("setting", "value", "id", "says"),
    [
        ("SCHEDULE", {"x": {"task": SEND}}, "messaging.E012", 'either "cron" or "every"'),
        ("SCHEDULE", {"x": {"task": "shop.nothing", "every": 1}}, "messaging.E012", "shop"),
        ("SCHEDULE", {"x": {"task": SEND, "every": 1, "args": [object()]}}, "messaging.E012", "Unsupported"),
        ("TASK_LISTS", {"l": "tests.subscribers.shop.no_task"}, "messaging.E013", "does not point to a Task"),
        ("TASK_LISTS", {"l": 5}, "messaging.E013", "is the import path"),
        ("TASK_LISTS", {"inbox": SEND}, "messaging.E013", "CAPTURE_LISTS"),
    ],
)
def test_checks_name_what_is_wrong_with_the_settings(
    declaring: None, settings: Settings, setting: str, value: Any, id: str, says: str
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"CAPTURE_LISTS": ["inbox"], setting: value}
    (error,) = check_tasks()
    assert error.id == id
    assert says in error.msg
    settings.MESSAGING = settings.MESSAGING | {setting: "text"}
    assert check_tasks() == [], "messaging.E002 says it"


def test_settings_that_can_work_pass(declaring: None, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {
        "SCHEDULE": {"x": {"task": SEND, "cron": "*/5 * * * *", "args": [1]}},
        "TASK_LISTS": {"emails": SEND},
    }
    assert check_tasks() == []
    assert subscribers.failures == {}
