"""Makes the typed Python client of the API document: `make client`, or `python -m clients.generate FOLDER`."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from serve_app.cli.api_document import api_document

PACKAGE: Final = "formstream_client"
FOLDER: Final = Path(__file__).parent / "python"
_TOOLS: Final = Path(__file__).parents[1] / ".venv-tools" / "bin"
_BYTES: Final = "application/octet-stream"
_TEXTS: Final = frozenset({"application/jsonl", "text/csv", "text/event-stream"})
_KNOWN: Final = frozenset({"application/json", "multipart/form-data", _BYTES, *_TEXTS})


def generate(folder: Path = FOLDER) -> None:
    """Write the package and what builds it into `folder`, in place of what was there.

    Raises FileNotFoundError without the generator, ValueError when that leaves something out.
    """
    path = os.pathsep.join((str(_TOOLS), os.environ["PATH"]))
    generator = shutil.which("openapi-python-client", path=path)
    if generator is None:
        raise FileNotFoundError("openapi-python-client is not installed: make tools")
    document = _simplified(api_document())
    media_types = {each: _BYTES for each in _media_types(document) if each not in _KNOWN}
    config = {
        "project_name_override": "formstream-client",
        "package_name_override": PACKAGE,
        "content_type_overrides": media_types | dict.fromkeys(_TEXTS, "text/plain"),
        "post_hooks": ["ruff check . --fix --extend-select=I --quiet", "ruff format . --quiet"],
    }
    with tempfile.TemporaryDirectory() as scratch:
        paths = {name: Path(scratch, f"{name}.json") for name in ("document", "config")}
        paths["document"].write_text(json.dumps(document))
        paths["config"].write_text(json.dumps(config))
        done = subprocess.run(  # noqa: S603 - our own arguments
            [
                *(generator, "generate", "--overwrite", "--meta", "setup", "--output-path", folder),
                *("--path", paths["document"], "--config", paths["config"]),
            ],
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode or "may be missing" in done.stdout + done.stderr:
        raise ValueError(f"the client is not complete:\n{done.stdout}\n{done.stderr}")


def _media_types(document: dict[str, Any]) -> set[str]:
    return {
        media_type
        for methods in document["paths"].values()
        for operation in methods.values()
        for each in (operation.get("requestBody", {}), *operation["responses"].values())
        for media_type in each.get("content", {})
    }


def _simplified(document: dict[str, Any]) -> dict[str, Any]:
    """Without what the generator cannot read: patterns of names of fields, and two models with one title."""
    for node in _nodes(document):
        if "patternProperties" in node:
            (node["additionalProperties"],) = node.pop("patternProperties").values()
            node.pop("title", None)  # the same at several places, each of which becomes a model
    for name, schema in document["components"]["schemas"].items():
        if "__" in name:  # pydantic puts modules before the name, for two models of one name
            schema["title"] = "".join(part.title() for part in name.split("__")[-2:])
    return document


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from _nodes(each)
    elif isinstance(value, list):
        for each in value:
            yield from _nodes(each)


if __name__ == "__main__":
    generate(*(Path(argument) for argument in sys.argv[1:]))
