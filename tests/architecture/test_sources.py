"""The house rules that a reader would otherwise have to check by eye."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from tests.architecture.rooms import ROOMS, ROOT, sources, tree_of

LONGEST_FILE = 600
LONGEST_MEDIAN = 120
NAMES_OF_NOTHING = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}

# Put together, so that this file does not name what it looks for.
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK")) + r")\b")
MACHINE_PATH = re.compile(r"(?<![\w.~}$])/(?:work|home|root|Users)/\w")
REGISTRY = re.compile("|".join(("py" + r"pi\.org", "python" + r"hosted\.org", "npm" + r"js\.(?:org|com)")))
CONFLICT = re.compile(r"^(?:<{7}|>{7}) ")
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".txt", ".in", ".cfg", ".conf", ".sh", ".j2", ".html", ".js", ".mako"}
TEXT_NAMES = {"Makefile", "Dockerfile", "Caddyfile", "run"}


def _kept_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def _text_files() -> list[Path]:
    return [path for path in _kept_files() if path.suffix in TEXT or path.name in TEXT_NAMES]


def test_the_repository_is_found() -> None:
    assert ROOT / "pyproject.toml" in _text_files()


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        (UNFINISHED, "unfinished work"),
        (MACHINE_PATH, "a path of one machine"),
        (REGISTRY, "a package registry"),
        (CONFLICT, "a merge that was not finished"),
    ],
    ids=["unfinished", "machine", "registry", "conflict"],
)
def test_no_file_names(rule: re.Pattern[str], what: str) -> None:
    hits = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in _text_files()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if rule.search(line)
    ]

    assert not hits, f"{what}:\n" + "\n".join(hits)


def test_files_are_small() -> None:
    lengths = {
        path: len(path.read_text(encoding="utf-8").splitlines())
        for path in sources(*ROOMS, "tests", "loadtests", "benchmarks")
    }
    long = {str(path.relative_to(ROOT)): length for path, length in lengths.items() if length >= LONGEST_FILE}
    assert not long

    in_rooms = sorted(length for path, length in lengths.items() if path.relative_to(ROOT).parts[0] in ROOMS)
    assert in_rooms[len(in_rooms) // 2] < LONGEST_MEDIAN


def test_files_are_named_by_their_noun() -> None:
    for path in sources(*ROOMS):
        assert path.stem not in NAMES_OF_NOTHING, path.relative_to(ROOT)
        assert not NAMES_OF_NOTHING & set(path.relative_to(ROOT).parts), path.relative_to(ROOT)


def test_every_module_says_what_it_is_for() -> None:
    for path in sources(*ROOMS):
        tree = tree_of(path)
        assert not tree.body or ast.get_docstring(tree), path.relative_to(ROOT)


def test_rooms_do_not_rely_on_assert() -> None:
    """`python -O` removes it."""
    for path in sources(*ROOMS):
        used = [node.lineno for node in ast.walk(tree_of(path)) if isinstance(node, ast.Assert)]
        assert not used, f"{path.relative_to(ROOT)}: lines {used}"


def test_rooms_do_not_print() -> None:
    for path in sources(*ROOMS):
        used = [
            node.lineno
            for node in ast.walk(tree_of(path))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
        ]
        assert not used, f"{path.relative_to(ROOT)}: lines {used}"


@pytest.mark.parametrize("room", ROOMS)
def test_every_package_of_a_room_is_one(room: str) -> None:
    """A folder without `__init__.py` is found in a checkout and missing where imports are strict."""
    for folder in {path.parent for path in sources(room)}:
        assert (folder / "__init__.py").exists(), folder.relative_to(ROOT)


def test_every_test_folder_is_a_package() -> None:
    """Without `tests/__init__.py`, `import db` inside a test would mean `tests/db`."""
    for folder in {path.parent for path in sources("tests")}:
        assert (folder / "__init__.py").exists(), folder.relative_to(ROOT)
