"""A captcha provider on this machine: speaks `siteverify`, and knows each token once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import orjson

SECRET = "the-tenants-secret"


class Provider:
    """Tokens that begin with `good` are solved captchas. `mode`: what it answers with."""

    def __init__(self) -> None:
        self.url = ""
        self.mode = "works"
        self.asked: list[dict[str, str]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert head.startswith("POST /siteverify ")
        assert "application/x-www-form-urlencoded" in head
        length = int(
            next(line for line in head.lower().splitlines() if line.startswith("content-length")).split(":")[1]
        )
        values = {name: each[0] for name, each in parse_qs((await reader.readexactly(length)).decode()).items()}
        self.asked.append(values)
        await self.gate.wait()
        status, body = self._answer(values)
        text = orjson.dumps(body)
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(text)}\r\nconnection: close\r\n\r\n".encode() + text)
        await writer.drain()
        writer.close()

    def _answer(self, values: dict[str, str]) -> tuple[int, object]:
        if self.mode == "broken":
            return 500, {}
        if self.mode == "odd":
            return 200, ["success"]
        if values.get("secret") != SECRET:
            return 200, {"success": False, "error-codes": ["invalid-input-secret"]}
        earlier = [each["response"] for each in self.asked[:-1]]
        if values["response"] in earlier:
            return 200, {"success": False, "error-codes": ["timeout-or-duplicate"]}
        good = values["response"].startswith("good")
        return 200, {"success": good, "error-codes": [] if good else ["invalid-input-response"]}


@asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    """One that runs."""
    made = Provider()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/siteverify"
    async with server:
        yield made
