"""The source of the four rooms, as the architecture tests look at it."""

import ast
import importlib
import pkgutil
import tomllib
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]
ROOMS = ("serve_app", "deployments", "eventing", "db")

# Only runs inside Alembic, which gives it a connection.
_NOT_IMPORTABLE = {"db.migrations.env"}


@cache
def project() -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@cache
def modules() -> tuple[ModuleType, ...]:
    """Every module of the four rooms, imported."""
    with warnings.catch_warnings():
        # Ray's own models use options that pydantic has deprecated.
        warnings.simplefilter("ignore")
        importlib.import_module("ray.serve")
    return tuple(importlib.import_module(name) for name in module_names())


@cache
def module_names() -> tuple[str, ...]:
    """The name of every module of the four rooms."""
    names: list[str] = []
    for room in ROOMS:
        names.append(room)
        # By path, so that a package that fails to import is a failure of the test that imports it.
        for path in sorted((ROOT / room).rglob("*.py")):
            relative = path.relative_to(ROOT).with_suffix("")
            parts = relative.parts[:-1] if relative.name == "__init__" else relative.parts
            names.append(".".join(parts))
    return tuple(name for name in dict.fromkeys(names) if name not in _NOT_IMPORTABLE)


def contexts() -> tuple[str, ...]:
    """The packages under `deployments` but the kit."""
    return tuple(module.name for module in pkgutil.iter_modules([str(ROOT / "deployments")]) if module.name != "kit")


def sources(*folders: str) -> Iterator[Path]:
    """The Python files under these folders of the repository."""
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported_names(tree: ast.Module) -> set[str]:
    """The dotted name of every module that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return names
