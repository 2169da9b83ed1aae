"""examples/deploy: its commands are ours, with options that they take; its metrics are there; nginx reads its file."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from django.core.management import load_command_class
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
        app = "django.core" if command in ("migrate", "check") else "messaging"
        try:
            load_command_class(app, command).create_parser("manage.py", command).parse_args(arguments)
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


@pytest.mark.django_db(transaction=True)
def test_alerts_name_metrics_that_there_are(settings: Settings, broker: TestServer, client: Client) -> None:
    from messaging import publish
    from tests.taskqueue import worker_tasks

    publish("c", 1)
    worker_tasks.add.enqueue(1, 2)
    settings.MESSAGING = settings.MESSAGING | {"METRICS_TOKEN": "a long random word"}
    reply = client.get("/metrics", headers={"Authorization": "Bearer a long random word"})
    there = set(re.findall(r"^# TYPE (\w+) ", reply.content.decode(), re.MULTILINE))
    rules = re.findall(r"expr: (.*)", (FOLDER / "alerts.yaml").read_text())
    asked = {name for rule in rules for name in re.findall(r"\bmessaging_\w+", rule)}
    absent = {"messaging_listener_failing"}  # said by a listener in charge alone, as `for each part`
    assert len(rules) > 8
    assert asked - there - absent == set()


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
