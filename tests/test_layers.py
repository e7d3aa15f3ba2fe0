"""Imports point down only: a room may import the rooms to its left in `ORDER`, and itself."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "isotone"
ORDER = [
    *("errors", "randomness", "records", "check"),
    *("relations", "candidates", "core", "nets", "data", "losses", "predict"),
    *("methods", "train", "evaluate", "report", "export"),
    *(
        "settings",
        "folder",
        "prepare",
        "finish",
        "run",
        "api",
        "demo",
        "studies",
        "estimators",
        "__init__",
        "cli",
        "__main__",
    ),
]
FORBIDDEN = {("train", "methods")}  # train knows the Method protocol and no method by name


def _room(parts: tuple[str, ...]) -> str:
    return parts[0].removesuffix(".py") if parts else "__init__"


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_imports_point_down(path: Path) -> None:
    here = _room(path.relative_to(SOURCE).parts)
    _placed(here)
    for node in ast.walk(ast.parse(path.read_text())):
        for module in _imported(node):
            there = _room(tuple(module.split(".")[1:]))
            down = there == here or _placed(there) < _placed(here)
            allowed = down and (here, there) not in FORBIDDEN
            assert allowed, f"line {node.lineno}: {here} may not import {module}"


def _placed(room: str) -> int:
    assert room in ORDER, f"{room} has no place in ORDER: add it where its imports allow"
    return ORDER.index(room)


def _imported(node: ast.AST) -> list[str]:
    """Return the modules of isotone that an import statement names; `from isotone import errors` names a module too."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: imports are absolute"
        names = [node.module or ""]
        if node.module == "isotone":
            names = [f"isotone.{a.name}" if a.name in ORDER else "isotone" for a in node.names]
    else:
        names = []
    return [name for name in names if name.split(".")[0] == "isotone"]
