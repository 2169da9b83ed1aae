"""What the README says of a project of one's own, done: a fresh project, its blocks of code, its commands."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import django
import httpx
import pytest

from tests.processes import ROOT, Process, plain_environment
from tests.servers import TestServer, free_port
from tests.test_readme import section
from tests.waiting import eventually

TASKS = """
from messaging.taskqueue import task

@task
def add(a, b):
    return a + b
"""
ENQUEUE = """
from mysite.tasks import add
from messaging import publish
publish("orders.created", {"id": 1})
print(add.enqueue(1, 2).id)
"""
LOOK = """
from django.tasks import default_task_backend as backend
print(backend.get_result({id!r}).return_value)
""".replace("django.tasks", "django.tasks" if django.VERSION >= (6, 0) else "django_tasks")


def blocks() -> dict[str, str]:
    """The code of each file, by its name; the commands under ``sh``."""
    found = re.findall(
        r"^   ```(\w+)\n(.*?)^   ```$", section("In a project of your own"), re.MULTILINE | re.DOTALL
    )
    texts = [(language, dedent(text)) for language, text in found]
    files = {
        text.split("\n", 1)[0].removeprefix("# "): text for language, text in texts if language == "python"
    }
    return files | {"sh": next(text for language, text in texts if language == "sh")}


def make_project(folder: Path, broker: TestServer) -> None:
    """A fresh project with what the README says at the ends of its files."""
    started = subprocess.run(
        [sys.executable, "-m", "django", "startproject", "mysite", str(folder)],
        env=plain_environment(),
        timeout=60,
    )
    assert started.returncode == 0
    said = blocks()
    said["settings.py"] = said["settings.py"].replace("redis://localhost:6379/0", broker.url)
    if django.VERSION < (6, 0):
        said["settings.py"] += 'INSTALLED_APPS += ["django_tasks"]\n'
    for name in ("settings.py", "urls.py", "asgi.py"):
        file = folder / "mysite" / name
        file.write_text(f"{file.read_text()}\n{said[name]}")


def test_a_project_of_ones_own(tmp_path: Path, broker: TestServer) -> None:
    port = free_port()
    env = plain_environment(PYTHONPATH=str(ROOT), DJANGO_SETTINGS_MODULE="mysite.settings")
    env |= {f"DJANGO_SUPERUSER_{name}": "ann" for name in ("USERNAME", "PASSWORD")}
    env["DJANGO_SUPERUSER_EMAIL"] = "ann@site.example"

    def done(*arguments: str) -> str:
        ran = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60
        )
        assert ran.returncode == 0, f"{arguments}: {ran.stdout}{ran.stderr}"
        return ran.stdout

    make_project(tmp_path, broker)
    (tmp_path / "mysite" / "tasks.py").write_text(TASKS)

    stay: list[Process] = []
    try:
        for line in blocks()["sh"].splitlines():
            python, *arguments = shlex.split(line, comments=True)
            assert python == "python"
            if arguments[1] in ("listen", "work"):
                stay.append(Process([sys.executable, *arguments], env=env, cwd=tmp_path))
            elif "uvicorn" in arguments:
                stay.append(Process([sys.executable, *arguments, "--port", str(port)], env=env, cwd=tmp_path))
            else:
                eventually(
                    lambda each=arguments: done(*each), every=0.2
                )  # the doctor wants to see a listener
        assert len(stay) == 3
        done("manage.py", "check", "--fail-level", "WARNING")
        done("manage.py", "createsuperuser", "--no-input")
        task_id = done("manage.py", "shell", "-v", "0", "-c", ENQUEUE).split()[-1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            eventually(lambda: answers(client), message="uvicorn")
            asked = client.get("/messages/", follow_redirects=True)
            assert asked.url.path == "/admin/login/"
            csrf = {"csrfmiddlewaretoken": client.cookies["csrftoken"]}
            login = {"username": "ann", "password": "ann", "next": "/messages/"}
            page = client.post(str(asked.url), data=csrf | login, follow_redirects=True)
            assert (page.status_code, page.url.path) == (200, "/messages/")
            for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text):
                assert client.get(path).status_code == 200, path
            with client.stream("GET", "/messages/stream?channel=orders.*") as stream:
                assert next(line for line in stream.iter_lines() if '"orders.created"' in line)
            eventually(lambda: "orders.created" in client.get("/admin/messaging/message/").text, every=0.2)
        look = ("manage.py", "shell", "-v", "0", "-c", LOOK.format(id=task_id))
        eventually(lambda: done(*look).split()[-1] == "3", every=0.2)
        for process in stay:
            assert process.terminate() in (0, -15), process.output
    finally:
        for process in stay:
            process.clean_up()


@pytest.mark.once
def test_up_starts_again_what_has_changed(tmp_path: Path, broker: TestServer) -> None:
    make_project(tmp_path, broker)
    urls = tmp_path / "mysite" / "urls.py"
    template = tmp_path / "mysite" / "templates" / "hello.html"
    template.parent.mkdir()
    template.write_text("first")
    page = """
from django.shortcuts import render
urlpatterns += [path("", lambda request: render(request, "hello.html"))]
"""
    urls.write_text(urls.read_text() + page)
    settings = tmp_path / "mysite" / "settings.py"
    settings.write_text(settings.read_text() + 'TEMPLATES[0]["DIRS"] = [BASE_DIR / "mysite" / "templates"]\n')
    env = plain_environment(PYTHONPATH=str(ROOT), DJANGO_SETTINGS_MODULE="mysite.settings")
    site = Process([sys.executable, "manage.py", "up", "--reload", "--port", "0"], env=env, cwd=tmp_path)
    try:
        url = site.wait_for(r"Live log +(http://\S+)messages/")[1]
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            assert client.get("/").text == "first"
            assert client.get("/static/admin/css/base.css").status_code == 200
            assert client.get("/readyz").json()["ready"]
            template.write_text("second")
            site.wait_for("mysite/templates/hello.html has changed")
            eventually(lambda: client.get("/").text == "second")
            right = settings.read_text()
            settings.write_text(right + "this is no Python")
            site.wait_for("web ended with exit code 1; it waits for a change of the code")
            assert "SyntaxError" in site.output
            site.wait_for("work .* another one starts in 15 s")
            template.write_text("third")
            settings.write_text(right)
            eventually(lambda: client.get("/").text == "third")
        assert site.terminate() == 0, site.output
    finally:
        site.clean_up()


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/admin/login/").status_code == 200
    except httpx.TransportError:
        return False
