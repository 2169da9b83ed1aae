"""The architecture: imports point only downwards, and each file says in its first line what comes in and goes out."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from messaging.management.commands.messaging import SUBCOMMANDS

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "messaging"

# The bones, from the bottom to the top. None of them may import from a line below its own, not even by way of a module
# that is not named here.
LAYERS = """
    errors patterns
    attributes payload event decoder foreign frames
    conf
    keys connection
    breaker wire scripts
    log continuity models rows
    storage sender lease loop
    ordered
    outbox relay capture
    publisher listener
    background live taskqueue
    checks views urls admin health management apps
"""
RANK = {f"messaging.{name}": rank for rank, line in enumerate(LAYERS.split("\n")) for name in line.split()}

FILES = sorted(path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts)


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


def imports_of(path: Path) -> set[str]:
    """The modules of the package that this one needs to be loaded: not those for types or inside a function."""
    found: set[str] = set()
    todo: list[ast.AST] = [ast.parse(path.read_text())]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("messaging"):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {each if each in MODULES else str(node.module) for each in inner}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not (
            isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        ):
            todo += ast.iter_child_nodes(node)
    return (found & MODULES.keys()) - {module_of(path)}


IMPORTS = {module: imports_of(path) for module, path in MODULES.items()}


def layer_of(module: str) -> int | None:
    """By its first name below the package: all of messaging.live is `live`."""
    return RANK.get(".".join(module.split(".")[:2]))


def test_no_import_runs_in_a_circle() -> None:
    list(TopologicalSorter(IMPORTS).static_order())


@pytest.mark.parametrize("name", RANK)
def test_imports_point_only_downwards(name: str) -> None:
    parts = [
        module
        for module in MODULES
        if layer_of(module) == RANK[name] and (module + ".").startswith(name + ".")
    ]
    assert parts, f"{name} is gone: strike it from LAYERS"
    seen: set[str] = set()
    todo = parts
    while todo:
        for each in IMPORTS[todo.pop()] - seen:
            seen.add(each)
            todo.append(each)
    above = {each for each in seen if (layer_of(each) or 0) > RANK[name]}
    assert above == set(), f"{name} rests on what stands above it"


@pytest.mark.parametrize("path", [path for path in FILES if path.stat().st_size], ids=module_of)
def test_the_first_line_says_what_comes_in_and_what_goes_out(path: Path) -> None:
    first = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0]
    assert "->" in first or first.endswith((".", ":")), f"{first!r}"
    assert len(first) > 20, f"{first!r}"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_no_file_is_longer_than_300_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", sorted((PACKAGE / "lua").glob("*.lua")), ids=lambda path: path.name)
def test_each_script_says_what_it_does_takes_and_returns(path: Path) -> None:
    head = [line for line in path.read_text().splitlines() if line.startswith("-- ")]
    assert any(line.startswith("-- KEYS: 1 ") for line in head)
    assert any(line.startswith("-- ARGV: 1 ") for line in head)
    assert any(line.startswith("-- returns ") for line in head)
    assert len(head[0]) > 20


@pytest.mark.parametrize("name", ["utils", "helpers", "core", "base", "common"])
def test_no_module_has_a_name_that_says_nothing(name: str) -> None:
    assert not [path for path in FILES if path.stem == name]


def test_every_module_among_the_subcommands_is_one() -> None:
    listed = {each.__name__ for each in SUBCOMMANDS}
    assert listed == {each for each in MODULES if each.startswith("messaging.management.subcommands.")}
