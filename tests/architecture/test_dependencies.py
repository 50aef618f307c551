"""Every direct dependency has a reason in docs/dependencies.md, and is locked with its hashes."""

import re
import sys

import pytest

from tests.architecture.rooms import ROOMS, ROOT, imported_names, sources, tree_of

REQUIREMENTS = ROOT / "requirements"
TABLE_ROW = re.compile(r"\| `([^`]+)` \| (.+) \|")

# Distribution by import name, where they differ.
DISTRIBUTIONS = {
    "argon2": "argon2-cffi",
    "bson": "pymongo",
    "grpc": "ray",  # the transport of Ray Serve's handles, whose failures have its types
    "jwt": "pyjwt",
    "linkify_it": "linkify-it-py",
    "magic": "python-magic",
    "nats": "nats-py",
    "opentelemetry": "opentelemetry-api",  # and its SDK and exporter, which share the name
    "PIL": "pillow",
    "python_multipart": "python-multipart",
    "pydantic_core": "pydantic",
    "re2": "google-re2",
    "sklearn": "scikit-learn",
    "text_to_num": "text2num",
    "yaml": "pyyaml",
}


def _direct(name: str) -> list[str]:
    lines = (REQUIREMENTS / f"{name}.in").read_text().splitlines()
    stripped = (line.partition("#")[0].strip() for line in lines)
    return [re.split(r"[\[=<>~!; ]", line, maxsplit=1)[0].lower() for line in stripped if line and line[0] != "-"]


def _documented(heading: str) -> dict[str, str]:
    text = (ROOT / "docs" / "dependencies.md").read_text()
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return {row[1]: row[2] for row in map(TABLE_ROW.fullmatch, section.splitlines()) if row}


@pytest.mark.parametrize(
    ("name", "heading"),
    [("run", "At run time"), ("dev", "To develop"), ("loadtest", "To generate load"), ("tools", "Tools")],
)
class TestRequirements:
    def test_each_has_its_reason_in_order(self, name: str, heading: str) -> None:
        documented = _documented(heading)

        assert list(documented) == sorted(documented)
        assert sorted(documented) == sorted(_direct(name))
        assert all(len(reason) > 10 for reason in documented.values())


@pytest.mark.parametrize("name", ["run", "dev", "tools"])
def test_everything_is_locked_with_hashes(name: str) -> None:
    text = (REQUIREMENTS / f"{name}.txt").read_text()
    entries = re.split(r"\n(?=[a-z0-9])", "\n" + re.sub(r"(?m)^\s*#.*\n?", "", text))[1:]
    locked = {re.split(r"[\[=]", entry, maxsplit=1)[0]: entry for entry in entries}

    assert {dependency.replace("_", "-") for dependency in _direct(name)} <= locked.keys()
    for entry in locked.values():
        assert re.match(r"[a-z0-9._-]+(\[[a-z0-9,_-]+\])?==\S+", entry), entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]
    assert "://" not in text


def test_what_is_imported_is_declared() -> None:
    """A module that only comes along with another dependency may be gone with its next version."""
    declared = set(_direct("run"))
    undeclared = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(*ROOMS)
        for name in imported_names(tree_of(path))
        if (top := name.partition(".")[0]) not in {*ROOMS, *sys.stdlib_module_names}
        and DISTRIBUTIONS.get(top, top.replace("_", "-")) not in declared
    }

    assert not undeclared
