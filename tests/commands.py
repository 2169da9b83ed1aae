"""A management command -> what it printed, said and ended with, run inside the test process."""

from contextlib import redirect_stderr
from io import StringIO
from typing import NamedTuple

import msgspec
from django.core.management import get_commands, load_command_class


class Ran(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, object]]:
        """Its output as JSON lines."""
        return [msgspec.json.decode(line) for line in self.out.splitlines()]


def run(name: str, *arguments: str) -> Ran:
    """``manage.py NAME ARGUMENTS``: parsed as a shell's, with the exit code that a shell would see."""
    out, err = StringIO(), StringIO()
    command = load_command_class(get_commands()[name], name)
    command._called_from_command_line = True  # type: ignore[attr-defined]  # usage errors end it, as in a shell
    code = 0
    with redirect_stderr(err):  # where argparse speaks
        try:
            options = vars(command.create_parser("manage.py", name).parse_args(list(arguments)))
            command.execute(*options.pop("args", ()), **options | {"stdout": out, "stderr": err})
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Ran(code, out.getvalue(), err.getvalue())
