"""examples/deploy: its commands are ours, with options that they take; its metrics are there; nginx reads its file."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from itertools import product
from logging.config import DictConfigurator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands, load_command_class
from django.test import Client
from pytest_django import Settings

from tests.missing import missing
from tests.processes import ROOT, plain_environment
from tests.servers import TestServer

FOLDER = ROOT / "examples" / "deploy"
FILES = [each for each in sorted(FOLDER.iterdir()) if each.name != "nginx.conf"]


def commands(text: str) -> list[list[str]]:
    """What stands behind ``manage.py``: in a line of a shell or a unit, or in a list of YAML."""
    lists = [item.replace(", ", " ") for item in re.findall(r"\[([^\]]*manage\.py[^\]]*)\]", text)]
    others = re.findall(r"[`\w/.]*python manage\.py[^`\n;]*", re.sub(r"\[[^\]]*\]", "", text))
    return [shlex.split(line.partition("manage.py")[2].lstrip(",").strip("`")) for line in [*lists, *others]]


def test_all_name_commands_and_options_that_there_are() -> None:
    found = [(file.name, command) for file in FILES for command in commands(file.read_text())]
    assert len(found) > 10
    for name, (command, *arguments) in found:
        try:
            load_command_class(get_commands()[command], command).create_parser(
                "manage.py", command
            ).parse_args(arguments)
        except SystemExit:
            pytest.fail(f"{name}: manage.py {command} does not take {arguments}")


@pytest.mark.parametrize(
    "name", ["compose.yaml", "worker.yaml", "messaging-listen.service", "messaging-work@.service"]
)
def test_who_stops_them_waits_longer_than_they_drain(name: str) -> None:
    text = (FOLDER / name).read_text()
    drains = [int(each) for each in re.findall(r"--drain-seconds\W+(\d+)", text)]
    waits = re.findall(r"(?:TimeoutStopSec=|terminationGracePeriodSeconds: |stop_grace_period: )(\d+)", text)
    assert max(map(int, waits)) > max([30, *drains])


def rules() -> list[str]:
    """What the alerts ask."""
    return re.findall(r"expr: (.*)", (FOLDER / "alerts.yaml").read_text())


def charts() -> list[str]:
    """What the panels and variables of the dashboard ask."""
    board = json.loads((FOLDER / "grafana.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    return asked + [each["definition"] for each in board["templating"]["list"] if "definition" in each]


@pytest.mark.parametrize("asked", [rules, charts])
@pytest.mark.django_db(transaction=True)
def test_what_is_asked_of_metrics_is_there(
    asked: Callable[[], list[str]], settings: Settings, broker: TestServer, client: Client
) -> None:
    from messaging import publish
    from tests.queued import succeed

    publish("c", 1)
    succeed(name="default")
    settings.MESSAGING = settings.MESSAGING | {
        "METRICS_TOKEN": "a long random word",
        "SCHEDULE": {"nightly": {"task": "tests.taskqueue.jobs.add", "cron": "0 3 * * *"}},
    }
    reply = client.get("/metrics", headers={"Authorization": "Bearer a long random word"})
    there = set(re.findall(r"^# TYPE (\w+) ", reply.content.decode(), re.MULTILINE))
    names = [set(re.findall(r"\bmessaging_\w+", each)) for each in asked()]
    at_times = {  # while a listener is in charge; once a stream was turned away
        "messaging_listener_failing",
        "messaging_listener_stored_total",
        "messaging_listener_captured_total",
        "messaging_live_overloaded_total",
    }
    assert len(names) > 8
    assert all(names)
    assert set().union(*names) - there - at_times == set()


def test_no_two_panels_of_the_dashboard_share_a_place() -> None:
    panels = json.loads((FOLDER / "grafana.json").read_text())["panels"]
    places = [(x, y) for panel in panels for x, y in squares(**panel["gridPos"])]
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)


def squares(x: int, y: int, w: int, h: int) -> Iterator[tuple[int, int]]:
    return product(range(x, x + w), range(y, y + h))


def test_the_page_names_the_loggers_that_there_are() -> None:
    text = (FOLDER / "README.md").read_text()
    code = "".join(path.read_text() for path in (ROOT / "messaging").rglob("*.py"))
    there = set(re.findall(r'getLogger\("(messaging\.\w+)"\)', code))
    assert set(re.findall(r"^\| `(messaging\.\w+)` \|", text, re.MULTILINE)) == there
    given: dict[str, Any] = {}
    exec(re.findall(r"```python\n(# settings\.py\nLOGGING.*?)```", text, re.DOTALL)[0], given)  # noqa: S102 (a page of ours)
    DictConfigurator(given["LOGGING"])


def test_nginx_reads_its_file(tmp_path: Path) -> None:
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if binary is None:
        missing("nginx", "Debian package nginx-light")
    whole = tmp_path / "nginx.conf"
    whole.write_text(
        f"pid {tmp_path}/pid; error_log stderr;\nevents {{ }}\n"
        f"http {{ access_log off; include {FOLDER}/nginx.conf; }}\n"
    )
    ran = subprocess.run(
        [binary, "-t", "-p", str(tmp_path), "-c", str(whole), "-e", "stderr"],
        env=plain_environment(), capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
