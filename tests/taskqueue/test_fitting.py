"""A call that the task's function would refuse is refused where it is made, in every way to enqueue."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from pytest_django import Settings

from messaging.errors import InvalidCall, WrongArguments
from messaging.taskqueue import RedisTaskBackend, enqueue_many, fitting, task
from messaging.taskqueue.batches import batches
from messaging.taskqueue.seam import TaskContext, task_backends
from messaging.testing import captured_tasks
from tests.taskqueue import jobs


def with_a_till(function: Callable[..., Any]) -> Callable[..., Any]:
    """A wrapper that gives the function more than it gets itself."""

    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return function("till", *args, **kwargs)

    return inner


@task
def pay(order: int, /, amount: int = 1, *, currency: str = "EUR") -> None: ...


@task
def anything(*args: Any, **kwargs: Any) -> None: ...


@task(takes_context=True)
async def told(context: TaskContext, what: str) -> None: ...


@task
@transaction.atomic
def book(order: int) -> None: ...


@task
@with_a_till
def sell(till: str, order: int) -> None: ...


@pytest.fixture
def ours(settings: Settings) -> RedisTaskBackend:
    settings.TASKS = {"default": {"BACKEND": "messaging.taskqueue.RedisTaskBackend"}}
    made: RedisTaskBackend = task_backends["default"]
    return made


def check(backend: RedisTaskBackend, task: Any, args: Any, kwargs: dict[str, Any]) -> None:
    batches(backend, [(task, args, kwargs)])


@pytest.mark.parametrize(
    ("task", "args", "kwargs", "says"),
    [
        (pay, (), {}, r"missing a required argument: 'order'; it takes \(order, /, amount=1, \*, currency='EUR'\)"),
        (pay, (1, 2, 3), {}, "too many positional arguments; it takes"),
        (pay, (1,), {"foo": 1}, "got an unexpected keyword argument 'foo'"),
        (pay, (1, 2), {"amount": 3}, "multiple values for argument 'amount'"),
        (pay, (), {"order": 1}, "order"),
        (told, (), {}, r"missing a required argument: 'what'; it takes \(what\)"),
        (told, ("a", "b"), {}, "too many positional arguments"),
        (told, ("a",), {"context": None}, "multiple values for argument 'context'"),
        (book, (), {}, "missing a required argument: 'order'"),
        (jobs.about, ("word",), {}, r"too many .* it takes \(\*, word=''\)"),
        (pay.using(priority=5), (), {}, "missing a required argument: 'order'"),
    ],
)  # fmt: skip
def test_what_the_function_does_not_take_is_refused(
    ours: RedisTaskBackend, task: Any, args: Any, kwargs: dict[str, Any], says: str
) -> None:
    with pytest.raises(WrongArguments, match=says) as caught:
        check(ours, task, args, kwargs)
    assert f"task {task.module_path} cannot be called so: " in str(caught.value)
    assert isinstance(caught.value, InvalidCall)
    assert isinstance(caught.value, TypeError), "as Python has it"


@pytest.mark.parametrize(
    ("task", "args", "kwargs"),
    [
        (pay, (1,), {}),
        (pay, [1, 2], {"currency": "USD"}),
        (pay, (1,), {"currency": "USD", "amount": 5}),
        (anything, range(50), {"self": 1, "args": 2, "task": 3}),
        (anything, (), {}),
        (told, ("a",), {}),
        (told, (), {"what": "a"}),
        (book, (), {"order": 1}),
        (sell, (1,), {}),
    ],
)
def test_what_it_takes_is_not(ours: RedisTaskBackend, task: Any, args: Any, kwargs: dict[str, Any]) -> None:
    for _ in range(2):
        check(ours, task, args, kwargs)


@pytest.mark.parametrize(
    "enqueue",
    [
        lambda: pay.enqueue(),  # type: ignore[call-arg]
        lambda: pay.using(priority=3).enqueue(),  # type: ignore[call-arg]
        lambda: pay.enqueue_many([(1,), ()]),
        lambda: pay.enqueue_many([(1,), {"order": 1}]),
        lambda: enqueue_many([(pay, [1], {}), (anything, [], {}), (pay, [], {})]),
    ],
    ids=["enqueue", "using", "many", "many by name", "of several"],
)
@pytest.mark.parametrize("in_test", [False, True], ids=["queue", "captured"])
def test_all_ways_ask_before_anything_is_sent(ours: RedisTaskBackend, enqueue: Any, in_test: bool) -> None:
    """No server is there: an attempt to send anything would be another error."""
    if not in_test:
        with pytest.raises(WrongArguments, match="'order'"):
            enqueue()
        return
    with captured_tasks() as kept:
        with pytest.raises(WrongArguments, match="'order'"):
            enqueue()
        assert list(kept) == []


@pytest.mark.anyio
async def test_coroutines_ask_too(ours: RedisTaskBackend) -> None:
    with pytest.raises(WrongArguments, match="'what'"):
        await told.aenqueue()  # type: ignore[call-arg]
    with pytest.raises(WrongArguments, match="'what'"):
        await told.aenqueue_many([("a",), ()])


def test_it_is_asked_before_functions_of_the_arguments_are_called(ours: RedisTaskBackend) -> None:
    with pytest.raises(WrongArguments, match="'number'"):
        check(ours, jobs.even_or_odd, (), {})


def test_a_function_that_does_not_say_what_it_takes_is_not_asked(
    ours: RedisTaskBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(function: Any) -> Any:
        raise ValueError(f"no signature found for {function}")

    fitting._misfit.cache_clear()
    monkeypatch.setattr(fitting, "_signature", silent)
    check(ours, pay, (1, 2, 3, 4), {})
    fitting._misfit.cache_clear()


def test_a_long_list_of_parameters_is_cut(ours: RedisTaskBackend) -> None:
    def takes(a: str = "a" * 500) -> None: ...

    assert len(fitting._misfit(takes, False, 2, ())) < 200
