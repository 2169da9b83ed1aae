"""A queue -> an AssertionError unless every job stands in exactly the structures where its state belongs."""

from collections import Counter
from typing import Any

import msgspec

from messaging import keys
from messaging.taskqueue.queue import Queue


def audit(queue: Queue, *, alone: bool = True) -> None:
    """Reads the whole queue: for tests with few jobs. ``alone``: there is nothing else on the server."""
    client, key = queue.client, queue.key
    known = {*queue.keys, keys.queues(queue.alias)}
    found = {name.decode() for name in client.scan_iter()}
    assert not alone or found <= known, f"keys that nobody has named: {found - known}"

    jobs: dict[str, Any] = {
        job_id.decode(): msgspec.msgpack.decode(packed)
        for job_id, packed in client.hgetall(key["jobs"]).items()
    }
    assert {job_id.decode() for job_id in client.hkeys(key["bodies"])} == set(jobs)
    for name in ("results", "errors"):
        assert {job_id.decode() for job_id in client.hkeys(key[name])} <= set(jobs)

    places = {name: members(queue, name) for name in ("ready", "due", "leases", "ordered", "limited", "dead")}
    places |= {name: members(queue, name) for name in ("succeeded", "cancelled", "expired")}
    for job_id, job in jobs.items():
        assert [name for name, ids in places.items() if job_id in ids] == [place_of(job)], f"{job_id} {job}"
    assert sum(map(len, places.values())) == len(jobs), f"a place holds what is no job: {places}"

    running = {job_id: job for job_id, job in jobs.items() if job["state"] == "running"}
    held = Counter(job["limit_key"] for job in running.values() if "limit_key" in job)
    assert {name.decode(): int(n) for name, n in client.hgetall(key["held"]).items()} == dict(held)

    slow = {job["rate_key"] for job in jobs.values() if job.get("parked") == "rate"}
    turns = {name.decode() for name in client.zrange(key["turns"], 0, -1)}
    ready = {job.get("rate_key") for job in jobs.values() if place_of(job) == "ready"}
    assert slow <= turns | ready, "somebody waits for a turn that never comes"

    waiting = [job for job in jobs.values() if job["state"] in ("ready", "delayed", "running")]
    heads = client.hgetall(key["heads"])
    assert {name.decode() for name in heads} == {job["order_key"] for job in waiting if "order_key" in job}
    for job_id in heads.values():
        assert jobs[job_id.decode()]["state"] in ("ready", "delayed", "running")
        assert jobs[job_id.decode()].get("parked") != "order"
    not_begun = {job_id for job_id, job in jobs.items() if job in waiting and "started_ms" not in job}
    expiring = {job_id.decode() for job_id in client.zrange(key["expiring"], 0, -1)}
    assert expiring == {job_id for job_id in not_begun if "expires_ms" in jobs[job_id]}

    dead = [job for job in jobs.values() if job["state"] == "dead"]
    ended = [job for job in jobs.values() if job["state"] in ("succeeded", "cancelled", "expired")]
    counts = queue.counts()
    assert counts.dead_bytes == sum(job["size"] for job in dead)
    assert counts.ended_bytes == sum(job["size"] for job in ended)
    assert sum(group.count for group in queue.dead_groups()) == len(dead)


def members(queue: Queue, part: str) -> set[str]:
    found = [member.decode().rpartition("\0")[2] for member in queue.client.zrange(queue.key[part], 0, -1)]
    return {member.partition(":")[2] for member in found} if part == "due" else set(found)


def place_of(job: dict[str, Any]) -> str:
    waits = {"order": "ordered", "limit": "limited", "rate": "limited"}
    places = {"ready": waits.get(job.get("parked", ""), "ready"), "delayed": "due", "running": "leases"}
    return places.get(job["state"], job["state"])
