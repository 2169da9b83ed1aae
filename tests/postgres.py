"""The machine's PostgreSQL binaries -> a private server on a Unix socket and a free port of the loopback interface."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from messaging.standalone import tether
from tests.servers import free_port
from tests.waiting import eventually


def binaries() -> Path | None:
    """The newest folder with a server's binaries, or None."""
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if folders:  # Debian's, which are not on PATH
        return max(folders, key=lambda folder: float(folder.parent.name))
    found = shutil.which("postgres")
    return Path(found).resolve().parent if found else None


class PostgresServer:
    """A fresh cluster without durability, gone afterwards. PostgreSQL refuses to run as root: then it runs as nobody
    or as the package's own user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.directory = Path(tempfile.mkdtemp(prefix="mtp-", dir="/tmp"))
        self.port = free_port()
        self.user: str | None = None
        if os.geteuid() == 0:
            self.user = next(name for name in ("postgres", "nobody") if _exists(name))
            shutil.chown(self.directory, self.user)
        data = str(self.directory / "data")
        subprocess.run(
            [
                folder / "initdb",
                "-D",
                data,
                "-U",
                "tests",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
            user=self.user,
            cwd=self.directory,
            timeout=60,
        )
        try:
            self.start()
            self.create_database("tests")
        except BaseException:
            self.remove()
            raise

    def start(self) -> None:
        """Starts it on its data; returns when it answers."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.directory),
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": "50",
            "shared_buffers": "64MB",
        }
        arguments = [str(self.folder / "postgres"), "-D", str(self.directory / "data")]
        arguments += [f"--{name}={value}" for name, value in options.items()]
        command = [*arguments]
        if self.user is None:
            command = tether.command(*arguments)
        self.process = subprocess.Popen(
            command,
            user=self.user,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        eventually(self._answers, every=0.05, message="PostgreSQL answers")

    @property
    def url(self) -> str:
        """Of the database `tests`, for DATABASE_URL."""
        return self.url_of("tests")

    def url_of(self, database: str) -> str:
        """Of another database, see :meth:`create_database`."""
        return f"postgres://tests@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Makes an empty database and returns its URL."""
        subprocess.run(
            [self.folder / "createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "tests", name],
            check=True,
            capture_output=True,
            timeout=20,
        )
        return self.url_of(name)

    def kill(self) -> None:
        """An immediate shutdown: connections are cut, the next start recovers from the write-ahead log."""
        self.process.send_signal(3)  # SIGQUIT
        self.process.wait(10)

    def remove(self) -> None:
        """Ends it and removes its data."""
        if self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _answers(self) -> bool:
        assert self.process.poll() is None, "PostgreSQL ended"
        arguments = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "tests", "-d", "postgres", "-q"]
        return subprocess.run([self.folder / "pg_isready", *arguments], timeout=5).returncode == 0


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
