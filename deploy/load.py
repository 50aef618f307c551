"""Load what the platform loads, so that its bytecode is there: every module of ours, and what they import, wherever.

`python load.py ROOM… MODULE…`, in the folder of the rooms. Fails where something cannot be loaded, and says what.
"""

import ast
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

# They start something when they are loaded.
STARTING = ("__main__", "env")


def modules(names: list[str]) -> Iterator[tuple[str, Path]]:
    """Each module of the rooms with its file, but those that start something and migrations, which Alembic loads."""
    for name in names:
        for module in pkgutil.walk_packages([name], f"{name}."):
            path = Path(*module.name.split("."))
            if path.name not in STARTING and "versions" not in path.parts:
                yield module.name, path / "__init__.py" if module.ispkg else path.with_suffix(".py")


def imports(path: Path) -> Iterator[str]:
    """The statements of a file that import, wherever in it, but for those of its own package."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and not node.level):
            yield ast.unparse(node)


def main() -> None:
    """Load all of it, and tell what could not be."""
    found = list(modules([name for name in sys.argv[1:] if Path(name).is_dir()]))
    statements = {f"import {name}" for name in (*sys.argv[1:], *(name for name, _ in found))}
    statements.update(statement for _, path in found for statement in imports(path))
    failures = []
    for statement in sorted(statements):
        try:
            exec(statement, {})
        except Exception as error:
            failures.append(f"{statement}: {error!r}")
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    sys.path.insert(0, "")
    main()
