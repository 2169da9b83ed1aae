"""A list is a queue: push on the left, pop from the right."""

from threading import Thread
from time import monotonic

from redis import Redis


def test_lpush_puts_a_task_in_and_rpop_takes_it_out(redis: Redis) -> None:
    """A queue needs no declaration: it is a list, and it comes into being with its first item. LPUSH answers how many
    items wait now; RPOP takes one out, and the last one takes the list with it."""
    assert redis.lpush("inbox", "task1") == 1
    assert redis.rpop("inbox") == "task1"
    assert not redis.exists("inbox")


def test_first_in_first_out(redis: Redis) -> None:
    """What was pushed first is popped first, because the two ends differ: in on the left, out on the right. Pushing
    and popping on the same side would make a stack instead."""
    redis.lpush("inbox", "task1")
    redis.lpush("inbox", "task2")
    redis.lpush("inbox", "task3")
    assert [redis.rpop("inbox") for _ in range(3)] == ["task1", "task2", "task3"]


def test_an_empty_queue_has_nothing_to_give(redis: Redis) -> None:
    """RPOP on an empty queue answers None at once: that is not an error, there is just no work. A worker that asks in
    a loop would burn its processor for nothing."""
    assert redis.rpop("inbox") is None


def test_brpop_waits_for_a_task_but_not_for_ever(redis: Redis) -> None:
    """BRPOP asks and waits: the connection sleeps inside Redis until a task comes or the time-out is over. Without a
    time-out (0) it would sleep until the end of time."""
    began = monotonic()
    assert redis.brpop(["inbox"], timeout=0.2) is None
    assert monotonic() - began >= 0.2


def test_brpop_returns_the_moment_a_task_is_pushed(redis: Redis) -> None:
    """The waiting worker is served by the push itself, without asking again. BRPOP answers with the list's name too,
    since it can wait at several lists at once."""
    taken = []
    worker = Thread(target=lambda: taken.append(redis.brpop(["urgent", "inbox"], timeout=10)))
    worker.start()
    redis.lpush("inbox", "task1")
    worker.join(10)
    assert taken == [("inbox", "task1")]


def test_each_task_goes_to_one_worker(redis: Redis) -> None:
    """Redis runs one command at a time, so that two workers never get the same task. This is what makes a queue a
    queue: more workers share the work, they do not repeat it."""
    redis.lpush("inbox", *range(100))
    taken: dict[str, list[str]] = {"ann": [], "bob": []}

    def work(name: str) -> None:
        while (task := redis.rpop("inbox")) is not None:
            taken[name].append(task)

    workers = [Thread(target=work, args=[name]) for name in taken]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(10)
    assert sorted(map(int, taken["ann"] + taken["bob"])) == list(range(100))
