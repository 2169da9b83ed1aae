"""What is fetched, what is changed in it so that it meets our backend, and what is left out, with the reason."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

OWN_BACKEND = "tests a backend that it defines itself; nothing of ours takes part"
OURS_CAN = "expects a backend that cannot do this; ours can"
KEEPS_NOTHING = "changes what the dummy keeps in memory; ours keeps nothing there"
OF_RQ = "looks at RQ's own objects or settings"


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Files of one source distribution, copied to a package ``tasks`` under var/ with ``changes`` made to each."""

    name: str
    package: str
    files: dict[str, str]  # place in the distribution -> name of the module
    changes: tuple[tuple[str, str], ...]
    left_out: dict[str, str] = field(default_factory=dict)  # a test, or a class, -> why

    def write(self, source: Path, target: Path, *, also: tuple[tuple[str, str], ...] = ()) -> None:
        """The changed files. A change that finds nothing in any of them means that the suite is not what it was."""
        target.mkdir(parents=True, exist_ok=True)
        (target / "__init__.py").write_text("")
        texts = {name: (source / place).read_text() for place, name in self.files.items()}
        for old, new in (*self.changes, *also):
            if not any(re.search(old, text) for text in texts.values()):
                raise LookupError(f"{self.name}: nothing matches {old!r} any more")
            texts = {name: re.sub(old, new, text) for name, text in texts.items()}
        for name, text in texts.items():
            (target / f"{name}.py").write_text(text)


DJANGO = Suite(
    name="Django's tests/tasks",
    package="Django",
    files={
        f"tests/tasks/{name}.py": name
        for name in (
            "tasks",
            "test_custom_backend",
            "test_dummy_backend",
            "test_immediate_backend",
            "test_tasks",
        )
    },
    changes=(
        (r"django\.tasks\.backends\.(dummy|immediate)\.(\w+Backend)", r"tests.outside.doubles.\2"),
        (r"from django\.tasks\.backends\.(?:dummy|immediate) import", "from tests.outside.doubles import"),
    ),
    left_out={
        "CustomBackendTestCase": OWN_BACKEND,
        "CustomTaskTestCase": OWN_BACKEND,
        "DummyBackendTestCase.test_refresh_result": KEEPS_NOTHING,
        "DummyBackendTestCase.test_refresh_result_async": KEEPS_NOTHING,
        "ImmediateBackendTestCase.test_cannot_get_result": OURS_CAN,
        "ImmediateBackendTestCase.test_cannot_refresh_result": OURS_CAN,
        "ImmediateBackendTestCase.test_cannot_pass_run_after": OURS_CAN,
        "ImmediateBackendTestCase.test_throws_keyboard_interrupt": (
            "there the task runs in its caller's thread, which it may end; in a worker it is a failed task"
        ),
    },
)

RQ = Suite(
    name="django-tasks-rq's tests",
    package="django-tasks-rq",
    files={"tests/tests.py": "test_rq"},
    changes=(
        (r"import django_rq\n", "from tests.outside.rq import django_rq\n"),
        (r"from fakeredis import FakeRedis, FakeStrictRedis\n", "FakeRedis = FakeStrictRedis = object\n"),
        (
            r"from rq\.defaults import \w+\nfrom rq\.timeouts import \w+\n",
            'UNSERIALIZABLE_RETURN_VALUE_PAYLOAD = "Unsupported type"\n',
        ),
        (
            r"from django_tasks_rq import compat\nfrom django_tasks_rq.backend import Job, RQBackend\n",
            "from tests.outside.rq import Job, RQBackend, RQTests, compat\n",
        ),
        (r"from tests import tasks as test_tasks", "from tasks import tasks as test_tasks"),
        (r"django_tasks_rq\.RQBackend", "messaging.taskqueue.RedisTaskBackend"),
        (r"class RQBackendTestCase\(SimpleTestCase\):", "class RQBackendTestCase(RQTests):"),
        (r"    def (setUp|run_worker)\(self\)", r"    def its_own_\1(self)"),  # ours are in RQTests
        (r"This task failed due", "This Task failed due"),  # the tasks are Django's, of the same names
        (r"errors\[0\]\.exception_class, Exception\)", "errors[0].exception_class, TypeError)"),
    ),
    left_out={
        "RQBackendTestCase.test_rq_app_missing": OF_RQ,
        "RQBackendTestCase.test_uses_rq_queues_for_queue_names": OF_RQ,
        "RQBackendTestCase.test_unknown_queue_name": OF_RQ,
        "RQBackendTestCase.test_exception_classes_pop_empty_list_bug": OF_RQ,
        "CompatTestCase": OF_RQ,
    },
)

# The suites name the framework as it is called where they come from.
TO_NATIVE = ((r"django_tasks(?=[.\" ])", "django.tasks"), (r"InvalidTaskError", "InvalidTask"))
TO_BACKPORT = (
    (r"django\.tasks", "django_tasks"),
    (r"\b(InvalidTask|InvalidTaskBackend)\b", r"\1Error"),
    (r"support async Tasks", "support async tasks"),
)
ON_BACKPORT = replace(
    DJANGO, files={place: name for place, name in DJANGO.files.items() if name != "test_custom_backend"}
)
