"""Writes the applications of serve_config.yaml into the manifests: one configuration for every cluster.

`python deploy/kuberay/render.py` after each change of serve_config.yaml; a test compares the two.
"""

from pathlib import Path

import yaml

_HERE = Path(__file__).parent
_CONFIG = _HERE.parents[1] / "serve_config.yaml"
TARGET = _HERE / "base" / "serve-config.yaml"


class _Block(yaml.SafeDumper):
    """Long texts as they are, line by line."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Block.add_representer(str, _text)


def render() -> str:
    """The patch that gives the RayService its applications."""
    patch = {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": "formstream"},
        "spec": {"serveConfigV2": _CONFIG.read_text()},
    }
    head = "# Made by deploy/kuberay/render.py from serve_config.yaml; change that.\n"
    return head + yaml.dump(patch, Dumper=_Block, sort_keys=False, width=1_000)


if __name__ == "__main__":
    TARGET.write_text(render())
