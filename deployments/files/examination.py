"""Looking into a file that has arrived: what it is, whether it is clean, and what of it is kept."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from typing import IO, Final, cast

import structlog

from deployments.files.clamd import Clamd, ScanFailed
from deployments.files.content import require_accepted, type_of
from deployments.files.errors import ImageUnreadable, Infected, ScannerUnavailable
from deployments.files.images import FORMATS, strip
from deployments.files.places import final_object
from deployments.files.service.uploads import Arrived, Found
from deployments.files.settings import FilesSettings
from deployments.kit.objects import ObjectStore

_PIECE_BYTES: Final = 1 << 18

_log = structlog.get_logger(__name__)


class Examination:
    """Examines files, a few at a time: an image of many megapixels takes much memory."""

    def __init__(self, objects: ObjectStore, settings: FilesSettings) -> None:
        self._objects = objects
        self._settings = settings
        self._clamd = Clamd(settings.clamav_url, settings.clamav_timeout_s) if settings.clamav_url else None
        self._turn = asyncio.Semaphore(settings.examined_at_once)

    async def keep(self, tenant_id: str, arrived: Arrived) -> Found:
        """Find out about a file and put it where stored files lie, images without their metadata.

        Raises FileRefused with the reason, ScannerUnavailable, FileNotFoundError when its pieces are gone.
        """
        place = final_object(tenant_id, arrived.id)
        async with self._turn, self._objects.local_copy(*arrived.objects) as file:
            kind = await asyncio.to_thread(type_of, file, arrived.name)
            require_accepted(arrived.field, kind)
            scanned = await self._scan(file)
            if kind in FORMATS:
                with tempfile.TemporaryFile() as stripped:
                    target = cast(IO[bytes], stripped)
                    file.seek(0)
                    await asyncio.to_thread(strip, file, kind, target, self._settings.max_image_pixels)
                    size, digest = await self._write(place, target)
            elif kind.startswith("image/") and kind != "image/svg+xml":
                raise ImageUnreadable.because(f"Images of the type {kind} are not accepted: send JPEG or PNG.")
            else:
                size, digest = await self._write(place, file)
        return Found(kind, size, digest, scanned)

    async def _scan(self, file: IO[bytes]) -> bool:
        if self._clamd is None:
            return False
        try:
            verdict = await self._clamd.scan(_pieces(file))
        except ScanFailed as error:
            _log.warning("clamd does not answer", error=str(error), policy=self._settings.clamav_down)
            if self._settings.clamav_down == "refuse":
                raise ScannerUnavailable(retry_after=30.0) from error
            return False
        if verdict.malware is not None:
            _log.warning("malware in an upload", malware=verdict.malware)
            raise Infected.because("The file contains malware.")
        return True

    async def _write(self, place: str, file: IO[bytes]) -> tuple[int, str]:
        digest = hashlib.sha256()
        size = 0
        async with self._objects.writer(place) as writer:
            async for piece in _pieces(file):
                digest.update(piece)
                size += len(piece)
                await writer.write(piece)
        return size, digest.hexdigest()


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    file.seek(0)
    while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
        yield piece
