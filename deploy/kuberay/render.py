"""Prints the RayService with the applications of serve_config.yaml in it: one configuration for every cluster."""

import sys
from pathlib import Path
from typing import Any

import yaml

_HERE = Path(__file__).parent
_CONFIG = _HERE.parents[1] / "serve_config.yaml"


def render() -> dict[str, Any]:
    """The manifest as a document."""
    manifest: dict[str, Any] = yaml.safe_load((_HERE / "rayservice.yaml").read_text())
    manifest["spec"]["serveConfigV2"] = _CONFIG.read_text()
    return manifest


if __name__ == "__main__":
    yaml.safe_dump(render(), sys.stdout, sort_keys=False)
