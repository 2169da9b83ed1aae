"""The short form; and workers without one of their safeguards, which it does not let pass."""

import pytest

from tests.processes import Process, plain_environment, python

pytestmark = [pytest.mark.once, pytest.mark.timeout(300)]

KILLS = ("-m", "tests.kills", "--any-time", "--tasks", "1000", "--rounds", "2", "--seed", "3")

SEEN = {
    "acknowledged_before_work": "has succeeded, and no execution of it has come to its end",
    "no_reclaim": "is running after 1 executions, not succeeded",
    "no_crash_limit": "BROKEN task 750 is ",  # it kills whoever runs it, and is not dead
}


def run(*arguments: str) -> tuple[int, str]:
    """Exit code, output."""
    process = Process(python(*KILLS, *arguments), env=plain_environment())
    try:
        return process.wait(280), process.output
    finally:
        process.clean_up()


def test_every_task_ends_although_workers_are_killed() -> None:
    code, output = run("--kinds", "machine,child")
    assert code == 0, output
    assert " 1 child, 1 machi, " in output


@pytest.mark.parametrize("variant", SEEN)
def test_without_a_safeguard_the_run_fails(variant: str) -> None:
    code, output = run("--kinds", "child", "--variant", variant, "--patience", "8")
    assert (code, SEEN[variant] in output) == (1, True), output
