"""What a queue promises, as plain Python: the sequential model that the scripts are checked against.

It knows no structures: each question is answered by looking at all jobs.
"""

from dataclasses import dataclass, field

from messaging.taskqueue.job import NewJob

WAITING = ("ready", "delayed")
ENDED = ("succeeded", "dead", "cancelled", "expired")


def gap_of(new: NewJob) -> float:
    return new.rate_us / 1000


@dataclass
class ModelJob:
    """A job as the model sees it."""

    new: NewJob
    seq: int
    due: int
    state: str = "ready"
    attempt: int = 0
    token: int = 0
    crashes: int = 0
    forgiven: int = 0
    owner: str = ""
    lease: int = 0
    begun: bool = False
    cancelled: bool = False
    ended: int = 0
    until: int = 0  # shown no longer than this; 0: as long as it is there

    @property
    def rank(self) -> tuple[int, int]:
        return -self.new.priority, self.seq


@dataclass
class Model:
    """A queue."""

    most_dead: int
    now: int = 1_000_000
    swept: int = 0  # when the latest sweep was
    patient_until: int = 0
    seq: int = 0
    jobs: dict[str, ModelJob] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)  # order key -> ids, the head first
    rates: dict[str, float] = field(
        default_factory=dict
    )  # rate key -> until when those that began are paid for
    locks: dict[str, tuple[str, int]] = field(default_factory=dict)  # digest -> holder, until (0: its end)

    def next_seq(self) -> int:
        self.seq += 1
        return self.seq

    def enqueue(self, new: NewJob) -> tuple[str, bool]:
        if new.id in self.jobs:
            return new.id, False
        if holder := self.lock_holder(new.unique):
            return holder, False
        job = self.jobs[new.id] = ModelJob(new, self.next_seq(), new.due_ms)
        self.admit(new.id, job)
        self.take_lock(new.id, new)
        return new.id, True

    def admit(self, job_id: str, job: ModelJob) -> None:
        if job.new.order_key:
            line = self.lines.setdefault(job.new.order_key, [])
            line.append(job_id)
            if line[0] != job_id:
                job.state = "ready"
                return
        job.state = "delayed" if job.due > self.now else "ready"

    def end(self, job_id: str, state: str) -> None:
        job = self.jobs[job_id]
        job.state, job.ended = state, self.now
        if state != "dead":
            keep = job.new.keep_ms if state == "succeeded" else job.new.keep_failed_ms
            job.until = self.now + keep
            if keep == 0:
                del self.jobs[job_id]
        if job.new.unique and self.locks.get(job.new.unique) == (job_id, 0):
            del self.locks[job.new.unique]
        line = self.lines.get(job.new.order_key, [])
        if job_id in line:
            was_head = line[0] == job_id
            line.remove(job_id)
            if was_head and line:
                head = self.jobs[line[0]]
                head.state = "delayed" if head.due > self.now else "ready"

    def promote(self) -> None:
        due = [job for job in self.jobs.values() if job.state == "delayed" and job.due <= self.now]
        for job in sorted(due, key=lambda job: (job.due, job.seq)):
            job.state, job.seq = "ready", self.next_seq()

    def running(self, limit_key: str) -> int:
        return sum(job.state == "running" and job.new.limit_key == limit_key for job in self.jobs.values())

    def may_run(self, job_id: str, job: ModelJob) -> bool:
        if job.state != "ready" or (job.new.order_key and self.lines[job.new.order_key][0] != job_id):
            return False
        if job.new.rate_key and self.paid_until(job.new) - (job.new.burst - 1) * gap_of(job.new) > self.now:
            return False
        return not job.new.limit_key or self.running(job.new.limit_key) < job.new.limit

    def paid_until(self, new: NewJob) -> float:
        return max(self.rates.get(new.rate_key, 0), self.now)

    def too_late(self, job: ModelJob) -> bool:
        return 0 < job.new.expires_ms <= self.now and not job.begun

    def claim(self, worker: str, count: int, lease: int) -> list[tuple[str, int]]:
        self.promote()
        taken: list[tuple[str, int]] = []
        while len(taken) < count:
            able = [job_id for job_id, job in self.jobs.items() if self.may_run(job_id, job)]
            if not able:
                break
            job_id = min(able, key=lambda job_id: self.jobs[job_id].rank)
            job = self.jobs[job_id]
            if self.too_late(job):
                self.end(job_id, "expired")
                continue
            job.state, job.owner, job.lease, job.begun = "running", worker, self.now + lease, True
            job.attempt, job.token = job.attempt + 1, job.token + 1
            if job.new.rate_key:
                self.rates[job.new.rate_key] = self.paid_until(job.new) + gap_of(job.new)
            taken.append((job_id, job.token))
        return taken

    def holds(self, worker: str, job_id: str, token: int) -> bool:
        job = self.jobs.get(job_id)
        return job is not None and (job.state, job.owner, job.token) == ("running", worker, token)

    def settle(self, job_id: str, how: str, delay: int = 0) -> None:
        job = self.jobs[job_id]
        if job.cancelled and how != "succeeded":
            self.end(job_id, "cancelled")
        elif how in ("succeeded", "dead"):
            self.end(job_id, how)
        else:
            job.attempt -= how == "released"
            job.state = "ready"
            if how == "retry" or delay > 0:
                job.state, job.due = "delayed", self.now + delay

    def lose(self, job_id: str) -> None:
        job = self.jobs[job_id]
        job.crashes, job.forgiven = job.crashes + 1, job.forgiven + 1
        if job.cancelled:
            self.end(job_id, "cancelled")
        elif job.crashes > job.new.max_crashes:
            self.end(job_id, "dead")
        else:
            job.state = "ready"

    def sweep(self, lease: int) -> tuple[int, int]:
        self.promote()
        if self.now - self.swept > lease // 2:
            self.patient_until = self.now + lease // 2
        self.swept = self.now
        lost = [
            job_id
            for job_id, job in self.jobs.items()
            if job.state == "running" and job.lease <= self.now and self.patient_until <= self.now
        ]
        for job_id in lost:
            self.lose(job_id)
        late = [job_id for job_id, job in self.jobs.items() if job.state in WAITING and self.too_late(job)]
        for job_id in late:
            self.end(job_id, "expired")
        return len(lost), len(late)

    def release_worker(self, worker: str) -> set[str]:
        held = set(self.held_by(worker))
        for job_id in held:
            self.lose(job_id)
        return held

    def held_by(self, worker: str) -> dict[str, ModelJob]:
        return {
            job_id: job for job_id, job in self.jobs.items() if (job.state, job.owner) == ("running", worker)
        }

    def cancel(self, job_id: str) -> bool:
        job = self.jobs[job_id]
        if job.state in WAITING:
            self.end(job_id, "cancelled")
            return True
        changes = job.state == "running" and not job.cancelled
        job.cancelled |= changes
        return changes

    def lock_holder(self, digest: str) -> str | None:
        holder, until = self.locks.get(digest, ("", 0))
        return holder if holder and (until == 0 or until > self.now) else None

    def take_lock(self, job_id: str, new: NewJob) -> None:
        if new.unique:
            self.locks[new.unique] = job_id, self.now + new.unique_ms if new.unique_ms else 0

    def revive(self, job_id: str) -> bool:
        job = self.jobs[job_id]
        if self.lock_holder(job.new.unique) not in (None, job_id):
            return False
        self.take_lock(job_id, job.new)
        job.crashes, job.forgiven, job.due, job.seq = 0, job.attempt, self.now, self.next_seq()
        self.admit(job_id, job)
        return True

    def trim_dead(self) -> None:
        dead = sorted((job.ended, job_id) for job_id, job in self.jobs.items() if job.state == "dead")
        for _, job_id in dead[: max(0, len(dead) - self.most_dead)]:
            del self.jobs[job_id]

    def shown(self, job_id: str) -> bool:
        job = self.jobs.get(job_id)
        return job is not None and not 0 < job.until <= self.now
