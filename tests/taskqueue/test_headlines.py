"""What a list says of a traceback."""

import pytest

from messaging.taskqueue.headlines import LONGEST, headline, why
from messaging.taskqueue.job import Job, State, error_of

HEAD = 'Traceback (most recent call last):\n  File "a.py", line 1\n'


@pytest.mark.parametrize(
    ("class_path", "traceback", "said"),
    [
        ("builtins.ValueError", f"{HEAD}ValueError: no\n", "ValueError: no"),
        ("smtplib.SMTPException", f"{HEAD}smtplib.SMTPException\n", "smtplib.SMTPException"),
        ("a.Invalid", f"{HEAD}a.Invalid: 2 errors\n  total\n    is negative", "a.Invalid: 2 errors total is negative"),
        ("builtins.KeyError", f"{HEAD}KeyError: 'a'\n\nDuring ...\n\n{HEAD}KeyError: 'b'\n", "KeyError: 'b'"),
        ("builtins.ValueError", "cut away\nthe last line", "the last line"),
        ("builtins.ValueError", "", ""),
        ("builtins.ValueError", "ValueError: " + "x" * 500, "ValueError: " + "x" * (LONGEST - 13) + "…"),
    ],
)  # fmt: skip
def test_class_and_message_on_one_line(class_path: str, traceback: str, said: str) -> None:
    job = Job(
        state=State.DEAD, task="t", errors=(error_of("a.B", "a.B: older"), error_of(class_path, traceback))
    )
    assert headline(job) == said


def test_no_error() -> None:
    assert headline(Job(state=State.DEAD, task="t", reason="worker lost")) == ""


@pytest.mark.parametrize(
    ("reason", "has_error", "said"),
    [
        ("gave up: the payload of event 1 does not fit", True, "gave up"),
        (
            "gave up: the payload of event 1 does not fit",
            False,
            "gave up: the payload of event 1 does not fit",
        ),
        ("gave up", True, "gave up"),
        ("failed 3 times", True, "failed 3 times"),
    ],
)
def test_a_reason_does_not_say_again_what_the_headline_says(reason: str, has_error: bool, said: str) -> None:
    errors = (error_of("a.B", "a.B: the payload of event 1 does not fit"),) if has_error else ()
    assert why(Job(state=State.DEAD, task="t", reason=reason, errors=errors)) == said
