"""The models of this installation: a folder for each version, with a manifest of what must be in it.

    <root>/<name>/<version>/manifest.json
    <root>/<name>/<version>/<file> ...

A version is complete when its manifest is there, which is written last. It is not changed afterwards, but made anew
when files of it are asked for that nobody wanted before.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from db.types import utc_now
from deployments.kit.contract import Contract
from deployments.models.errors import ModelDamaged, ModelMissing

_MANIFEST: Final = "manifest.json"
_BLOCK: Final = 1 << 20


class ModelFile(Contract):
    """A file of a model; `sha256` in hexadecimal digits, `size` in bytes."""

    sha256: str
    size: int


class Provenance(Contract):
    """Where a model comes from, and the SPDX identifier of its licence."""

    source: str
    license: str


class Manifest(Contract):
    """What a version of a model is and where it comes from. `task` is what it is asked for."""

    name: str
    version: str
    task: str
    source: str
    license: str
    built_at: datetime
    files: dict[str, ModelFile]


class Registry:
    """The models below a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __iter__(self) -> Iterator[Manifest]:
        """Every complete version, by name, and the newest version first. Raises ModelDamaged for a manifest that
        cannot be read."""
        paths = sorted(self._root.glob(f"*/*/{_MANIFEST}"))
        manifests = [_read(path) for path in paths]
        yield from sorted(manifests, key=lambda each: (each.name, -each.built_at.timestamp()))

    def folder(self, name: str, version: str) -> Path:
        """Where the files of a version are."""
        return self._root / name / version

    def has(self, name: str, version: str = "*", file: str = _MANIFEST) -> bool:
        """Whether a version of a model is complete, and has `file`; without `version`, any."""
        return any((path.parent / file).is_file() for path in self._root.glob(f"{name}/{version}/{_MANIFEST}"))

    def newest(self, name: str) -> Manifest:
        """The version of a model that was built last. Raises ModelMissing, ModelDamaged."""
        for manifest in self:
            if manifest.name == name:
                return manifest
        raise ModelMissing(f"{name} is not installed; `formstream models build` makes it", retry_after=60.0)

    def verified(self, name: str) -> tuple[Manifest, Path]:
        """The newest version of a model and its folder, every file compared with its checksum.

        Raises ModelMissing, and ModelDamaged with the first file that is not what was registered.
        """
        manifest = self.newest(name)
        self.verify(manifest)
        return manifest, self.folder(name, manifest.version)

    def verify(self, manifest: Manifest) -> None:
        """Compare every file of a version with its checksum. Raises ModelDamaged."""
        folder = self.folder(manifest.name, manifest.version)
        for file, expected in manifest.files.items():
            path = folder / file
            if not path.is_file():
                raise ModelDamaged(manifest.name, path, "the file is missing")
            if path.stat().st_size != expected.size or sha256_of(path) != expected.sha256:
                raise ModelDamaged(manifest.name, path, "the checksum is not the registered one")

    def register(
        self,
        name: str,
        version: str,
        *,
        task: str,
        provenance: Provenance,
        make: Callable[[Path], None],
        needed: Collection[str] = (),
    ) -> Manifest:
        """Let `make` write a version's files into an empty folder, and register them; what is registered already stays,
        if it has the `needed` files.

        Whoever dies in between leaves nothing that counts as a version.
        """
        target = self.folder(name, version)
        if (registered := _registered(target, needed)) is not None:
            return registered
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{version}-") as scratch:
            made = Path(scratch) / "files"
            made.mkdir()
            make(made)
            files = {
                path.relative_to(made).as_posix(): ModelFile(sha256=sha256_of(path), size=path.stat().st_size)
                for path in sorted(made.rglob("*"))
                if path.is_file()
            }
            manifest = Manifest(
                name=name,
                version=version,
                task=task,
                source=provenance.source,
                license=provenance.license,
                built_at=utc_now(),
                files=files,
            )
            (made / _MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
            if _registered(target, needed) is None:
                # A folder without a manifest is what somebody left who died.
                (target / _MANIFEST).unlink(missing_ok=True)
                shutil.rmtree(target, ignore_errors=True)
            try:
                os.replace(made, target)
            except OSError:
                # Somebody else was quicker; a folder that has files is not replaced.
                return _read(target / _MANIFEST)
        return manifest


def sha256_of(path: Path) -> str:
    """The checksum of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _registered(folder: Path, needed: Collection[str]) -> Manifest | None:
    if not (folder / _MANIFEST).exists():
        return None
    manifest = _read(folder / _MANIFEST)
    return manifest if manifest.files.keys() >= set(needed) else None


def _read(path: Path) -> Manifest:
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except (ValidationError, OSError) as error:
        raise ModelDamaged(path.parent.parent.name, path, "the manifest cannot be read") from error
