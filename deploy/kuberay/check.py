"""Compares the manifests with Kubernetes' own schemas; run in the environment of the tools.

Where `kubectl` is installed, the overlays are built by Kustomize and checked whole; else the files of the base are. Of
a RayService, whose schema no registry of packages has, the pods are checked.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

_HERE = Path(__file__).parent
_CANARY = _HERE / "canary-ingress.yaml"
_VERSION = "1.32"
_PATCHES = ("kustomization.yaml", "serve-config.yaml", "names.yaml", "workers.yaml", "host.yaml")


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each manifest with where it comes from."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        print("kubectl is not installed: files are checked, and what Kustomize makes of them is not.")  # noqa: T201
        for path in sorted(_HERE.rglob("*.yaml")):
            if path.name not in _PATCHES:
                yield from ((str(path), each) for each in yaml.safe_load_all(path.read_text()))
        return
    for overlay in sorted((_HERE / "overlays").iterdir()):
        built = subprocess.run(  # noqa: S603 - our own folders
            [kubectl, "kustomize", overlay], capture_output=True, text=True, check=True
        )
        yield from ((overlay.name, each) for each in yaml.safe_load_all(built.stdout))
    yield from ((_CANARY.name, each) for each in yaml.safe_load_all(_CANARY.read_text()))


def checked(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What has a schema: the document itself, or the pods in it."""
    if document["kind"] != "RayService":
        yield document
        return
    cluster = document["spec"]["rayClusterConfig"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        name = group.get("groupName", "head")
        yield {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": name}, "template": group["template"]}


def main() -> int:
    """The number of faults."""
    faults = 0
    for source, document in documents():
        for each in checked(document):
            try:
                kubernetes_validate.validate(each, _VERSION, strict=True)
            except kubernetes_validate.ValidationError as error:
                faults += 1
                sys.stderr.write(f"{source}: {each['kind']} {each['metadata']['name']}: {error.message}\n")
    return min(faults, 1)


if __name__ == "__main__":
    sys.exit(main())
