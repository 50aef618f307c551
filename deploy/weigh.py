"""What takes the space in an image, as a table: `python weigh.py ENVIRONMENT FOLDER…`, each file counted once.

In a container: `docker run --rm --interactive --entrypoint python IMAGE - /opt/venv /opt/models /app <deploy/weigh.py`.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

SHOWN = 15


def files(folder: Path) -> Iterator[tuple[Path, int]]:
    """Every file with its size; links weigh nothing."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield path, path.stat().st_size


def package(path: Path, packages: Path) -> str:
    """The package that a file belongs to; shared libraries beside it are its own."""
    if not path.is_relative_to(packages):
        return "commands"
    top = path.relative_to(packages).parts[0]
    return top if top.endswith(".dist-info") else top.partition(".")[0].lstrip("_")


def kind(path: Path) -> str:
    """Machine code, what Python reads, its bytecode, or data."""
    if path.suffix == ".pyc":
        return "bytecode"
    if path.suffix == ".py":
        return "Python"
    return "machine code" if path.open("rb").read(4) == b"\x7fELF" else "data"


def main() -> None:
    """Write the table."""
    environment, *folders = (Path(argument) for argument in sys.argv[1:])
    (packages,) = environment.glob("lib/python*/site-packages")
    by_package: Counter[str] = Counter()
    by_kind: Counter[str] = Counter()
    for path, size in files(environment):
        by_package[package(path, packages)] += size
        by_kind[kind(path)] += size
    shown = by_package.most_common(SHOWN)
    rows = [(f"`{name}`", size) for name, size in shown]
    rows.append((f"{len(by_package) - len(shown)} others", by_package.total() - sum(size for _, size in shown)))
    rows.append((", ".join(f"{name} {size / 1e6:.0f}" for name, size in by_kind.most_common()), by_package.total()))
    rows += [(f"`{folder}`", sum(size for _, size in files(folder))) for folder in folders]
    print("| MB | What |\n|---|---|")
    for name, size in rows:
        print(f"| {size / 1e6:.0f} | {name} |")


if __name__ == "__main__":
    main()
