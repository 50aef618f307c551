"""Daemons that speak ClamAV's protocol: one of ours that is true to it, and the real one where it is installed."""

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.deployments.files.scene import EICAR
from tests.eventing.harness import eventually

STREAM_LIMIT: Final = 1_000_000
INSTALLED: Final = shutil.which("clamd")


class Daemon:
    """Answers INSTREAM as clamd(8) says: OK, FOUND, or an error and the end when the stream is too long."""

    def __init__(self) -> None:
        self.silent = False
        self.nonsense = False
        self.scanned: list[int] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            assert await reader.readuntil(b"\0") == b"zINSTREAM\0"
            content = bytearray()
            while size := int.from_bytes(await reader.readexactly(4), "big"):
                if len(content) + size > STREAM_LIMIT:
                    writer.write(b"INSTREAM size limit exceeded. ERROR\0")
                    return
                content += await reader.readexactly(size)
            self.scanned.append(len(content))
            if self.silent:
                await reader.read()
                return
            if self.nonsense:
                writer.write(b"UNKNOWN COMMAND\0")
                return
            writer.write(b"stream: Eicar-Test-Signature FOUND\0" if EICAR in content else b"stream: OK\0")
        finally:
            writer.close()


@asynccontextmanager
async def running(daemon: Daemon, path: Path | None = None) -> AsyncIterator[str]:
    """The daemon on a free port, or on a socket in the file system; its address."""
    if path is None:
        server = await asyncio.start_server(daemon.answer, "127.0.0.1", 0)
        url = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    else:
        server = await asyncio.start_unix_server(daemon.answer, path)
        url = f"unix://{path}"
    async with server:
        yield url


@asynccontextmanager
async def clamd(folder: Path) -> AsyncIterator[str]:
    """The real daemon, which knows one signature: that of the test file of EICAR."""
    (folder / "db").mkdir()
    (folder / "db" / "test.hdb").write_text(f"{hashlib.md5(EICAR).hexdigest()}:{len(EICAR)}:Eicar-Test\n")  # noqa: S324
    socket = folder / "clamd.sock"
    (folder / "clamd.conf").write_text(
        f"LocalSocket {socket}\nDatabaseDirectory {folder}/db\nForeground yes\nStreamMaxLength 1M\n"
        f"TemporaryDirectory {folder}\nLogFile {folder}/clamd.log\n"
    )
    process = await asyncio.create_subprocess_exec(
        str(INSTALLED),
        f"--config-file={folder}/clamd.conf",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )

    async def listens() -> bool:
        assert process.returncode is None, "clamd has ended"
        return socket.exists()

    try:
        await eventually(listens, deadline_s=60)
        yield f"unix://{socket}"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
