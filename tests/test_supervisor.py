"""The supervisor alone, with small children: what they say, how they are restarted and stopped."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from messaging.standalone import supervisor as module
from messaging.standalone.child import Child
from messaging.standalone.supervisor import Supervisor

Said = list[tuple[str, str]]


@pytest.fixture
def said() -> Said:
    return []


@pytest.fixture
def supervisor(said: Said, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    monkeypatch.setattr(module, "RESTART_PAUSE", 0.01)
    with Supervisor(lambda part, line: said.append((part, line)), drain_seconds=30.0) as made:
        yield made
        made.stop()


def child(name: str, code: str) -> Child:
    return Child(name, [sys.executable, "-S", "-c", code], cwd=Path.cwd())


def interrupt_when(condition_met: bool) -> None:
    if condition_met:
        os.kill(os.getpid(), signal.SIGINT)


def test_lines_are_passed_on_whole_with_their_part(supervisor: Supervisor, said: Said) -> None:
    code = r"""
import os, time
os.write(1, b'first\nsec'); time.sleep(.05); os.write(2, b'ond\n\xff\nno end of line'); time.sleep(60)
"""
    supervisor.start(child("talker", code))
    assert supervisor.run(lambda: interrupt_when(len(said) == 3), every=0.02) == 0
    assert said == [("talker", line) for line in ("first", "second", "\ufffd", "no end of line")]


def test_a_part_that_keeps_failing_ends_it_with_its_last_words(supervisor: Supervisor, said: Said) -> None:
    supervisor.start(child("fine", "import time; time.sleep(60)"))
    supervisor.start(child("broken", "import sys; sys.exit('no database')"))
    assert supervisor.run(lambda: None, every=0.02) == 1
    assert said.count(("broken", "no database")) == 6 + 1
    assert ("", "broken ended with exit code 1; starting it again in 0.01 s (1 of 5)") in said
    assert said[-2:] == [
        ("", "broken ended with exit code 1 once more: giving up. It said last:"),
        ("broken", "no database"),
    ]


def test_a_part_that_ends_in_order_is_started_again_however_often(
    supervisor: Supervisor, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SETTLED", 0.0)
    supervisor.start(child("work", "print('drained')"))
    assert supervisor.run(lambda: interrupt_when(said.count(("work", "drained")) > 6), every=0.02) == 0
    assert ("", "work has drained; starting it again") in said


def test_a_part_that_cannot_start_is_not_tried_again(supervisor: Supervisor, said: Said) -> None:
    supervisor.start(child("listen", "import sys; sys.stderr.write('no such setting\\n'); sys.exit(3)"))
    assert supervisor.run(lambda: None, every=0.02) == 3
    assert said == [("listen", "no such setting"), ("", "listen cannot start, see above: giving up")]


def test_the_first_one_started_is_stopped_last(supervisor: Supervisor, said: Said) -> None:
    code = r"""
import signal, sys, time
def end(*_):
    time.sleep(0.1)
    print('ended', flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, end)
print('ready', flush=True)
time.sleep(60)
"""
    supervisor.start(child("server", code))
    supervisor.start(child("web", code), child("listen", code))
    assert supervisor.run(lambda: interrupt_when(len(said) == 3), every=0.02) == 0
    assert {part for part, _ in said[3:5]} == {"web", "listen"}
    assert said[5:] == [("server", "ended")]


def test_a_signal_sent_twice_by_one_ctrl_c_is_one_signal(supervisor: Supervisor, said: Said) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.2), exit())); "
    supervisor.start(child("slow", code + "print('ready', flush=True); time.sleep(60)"))

    def twice() -> None:
        if said:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)

    assert supervisor.run(twice, every=0.02) == 0


@pytest.mark.parametrize(("signals", "code"), [(1, 5), (2, 130)])
def test_what_does_not_end_is_killed(
    supervisor: Supervisor, said: Said, signals: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAME_SIGNAL", -1.0)
    supervisor.drain_seconds = 1.0
    ignoring = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    stubborn = child("stubborn", ignoring + "print('ready', flush=True); time.sleep(60)")
    supervisor.start(stubborn)
    began = time.monotonic()

    def interrupt() -> None:
        for _ in range(signals if said else 0):
            os.kill(os.getpid(), signal.SIGINT)

    assert supervisor.run(interrupt, every=0.02) == code
    assert not stubborn.alive()
    assert (time.monotonic() - began > 1.0) == (signals == 1)


def test_renewed_parts_end_and_start_again_and_the_others_do_not(supervisor: Supervisor, said: Said) -> None:
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    supervisor.start(child("web", code), child("work", code))

    once = iter(["web"])

    def tick() -> None:
        if len(said) == 2:
            supervisor.renew(*once)
        interrupt_when(len(said) == 3)

    assert supervisor.run(tick, every=0.02) == 0
    assert sorted(part for part, _ in said) == ["web", "web", "work"]
    assert len({pid for _, pid in said}) == 3


def test_a_renewed_part_that_does_not_end_is_killed(supervisor: Supervisor, said: Said) -> None:
    supervisor.drain_seconds = 0.3
    ignoring = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    supervisor.start(child("web", ignoring + "print('ready', flush=True); time.sleep(60)"))

    once = iter(["web"])

    def tick() -> None:
        if said:
            supervisor.renew(*once)
        interrupt_when(len(said) == 2)

    supervisor.run(tick, every=0.02)
    assert said == [("web", "ready")] * 2


def test_with_patience_a_broken_part_waits_until_it_is_renewed(
    supervisor: Supervisor, said: Said, tmp_path: Path
) -> None:
    supervisor.patient = True
    code = tmp_path / "code.py"
    code.write_text("not python")
    supervisor.start(
        Child("web", [sys.executable, "-S", str(code)], cwd=tmp_path),
        child("work", "import sys; sys.exit(3)"),
    )
    waits = [
        ("", f"{name} ended with exit code {status}; it waits for a change of the code")
        for name, status in (("web", 1), ("work", 3))
    ]

    def tick() -> None:
        if all(each in said for each in waits) and "not" in code.read_text():
            code.write_text("import time; print('mended', flush=True); time.sleep(60)")
            supervisor.renew("web")
        interrupt_when(("web", "mended") in said and said.count(waits[1]) == 2)

    assert supervisor.run(tick, every=0.02) == 0
    assert said.count(waits[0]) == 1
