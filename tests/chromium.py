"""A real Chromium without a window, spoken to in its own protocol (Chrome DevTools Protocol)."""

import asyncio
import base64
import itertools
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_DEADLINE_S = 30.0
_KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), " ": (32, " ")}
_KEYS |= {"ArrowLeft": (37, ""), "ArrowUp": (38, ""), "ArrowRight": (39, ""), "ArrowDown": (40, "")}


@dataclass
class Page:
    """One tab. `requests` are the addresses and headers that it sent, `complaints` what its console complained of."""

    _connection: ClientConnection
    _session: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _waiting: dict[int, "asyncio.Future[Any]"] = field(default_factory=dict)

    async def command(self, method: str, **params: Any) -> Any:
        """The result of a command of the protocol."""
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": params, "sessionId": self._session}
        await self._connection.send(json.dumps(message))
        async with asyncio.timeout(_DEADLINE_S):
            return await self._waiting[number]

    async def open(self, url: str) -> None:
        """Go somewhere, as if the address had been typed."""
        await self.command("Page.navigate", url="about:blank")
        await self.command("Page.navigate", url=url)
        await self.until("location.href !== 'about:blank'")

    async def value(self, expression: str) -> Any:
        """The value of an expression in the page."""
        found = await self.command("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, condition: str) -> None:
        """Wait until an expression in the page, which has been loaded to its end, is true."""
        async with asyncio.timeout(_DEADLINE_S):
            while True:
                with suppress(AssertionError, ProtocolError):  # the page may just be going somewhere else
                    if await self.value(f"document.readyState === 'complete' && ({condition})"):
                        return
                await asyncio.sleep(0.02)

    async def press(self, key: str) -> None:
        """Press and release a key."""
        code, text = _KEYS[key]
        for kind in ("keyDown", "keyUp"):
            event = {"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code}
            await self.command("Input.dispatchKeyEvent", **event, **({"text": text} if kind == "keyDown" else {}))

    async def type(self, text: str) -> None:
        """Type into what has the focus."""
        await self.command("Input.insertText", text=text)

    async def click(self, x: float, y: float) -> None:
        """Click with the mouse at a point of the screen, whatever frame is there."""
        for kind in ("mousePressed", "mouseReleased"):
            await self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def screen(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        """Be a screen of this size, as a phone is where it is narrow."""
        mobile = width < 600
        await self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile
        )
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.command("Emulation.setEmulatedMedia", features=features)

    async def scripts(self, *, on: bool) -> None:
        """Whether pages that are opened from now on run their scripts."""
        await self.command("Emulation.setScriptExecutionDisabled", value=not on)

    async def picture(self) -> bytes:
        """What the screen shows, as a PNG file."""
        taken = await self.command("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(taken["data"])

    async def focuses(self, name: str) -> None:
        """Wait until what has this id has the focus: `autofocus` is obeyed some time after the page is there."""
        await self.until(f"document.activeElement.id === {json.dumps(name)}")

    async def named(self, role: str) -> list[str]:
        """What a screen reader calls the visible elements of a role."""
        nodes = (await self.command("Accessibility.getFullAXTree"))["nodes"]
        return [
            node["name"]["value"]
            for node in nodes
            if not node["ignored"] and node["role"]["value"] == role and "name" in node
        ]

    def receive(self, message: dict[str, Any]) -> None:
        """Take a message of the browser."""
        if "id" in message:
            waiting = self._waiting.pop(message["id"])
            if "error" in message:
                waiting.set_exception(ProtocolError(message["error"]["message"]))
            else:
                waiting.set_result(message["result"])
            return
        params = message["params"]
        match message["method"]:
            case "Network.requestWillBeSent":
                self.requests.append(f"{params['request']['url']} {params['request']['headers']}")
            case "Network.requestWillBeSentExtraInfo":
                self.requests.append(str(params["headers"]))
            case "Log.entryAdded" if params["entry"]["level"] in ("warning", "error"):
                self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            case "Runtime.exceptionThrown":
                self.complaints.append(str(params["exceptionDetails"]))


class ProtocolError(Exception):
    """The browser refused a command."""


@asynccontextmanager
async def chromium(folder: Path, *options: str, language: str = "en-US") -> AsyncIterator[Page]:
    """A tab of a browser with a profile of its own in `folder`, started with these options, too."""
    program = next((path for name in _NAMES if (path := shutil.which(name))), None)
    assert program is not None, f"this test needs a browser: one of {', '.join(_NAMES)}"
    process = await asyncio.create_subprocess_exec(
        program,
        # Inside a container there is neither a sandbox to be had nor much shared memory.
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
        *("--remote-debugging-port=0", f"--user-data-dir={folder}", f"--accept-lang={language}"),
        *(*options, "about:blank"),
        env={"HOME": str(folder), "PATH": os.environ["PATH"]},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(_DEADLINE_S):
            line = ""
            while "DevTools listening on " not in line:
                line = (await process.stderr.readline()).decode()
                assert line, "the browser ended"
        reading = asyncio.create_task(process.stderr.read())
        async with connect(line.rpartition(" ")[2].strip(), max_size=None, proxy=None) as connection:
            page = await _tab(connection)
            async with _received(connection, page):
                for domain in ("Page", "Runtime", "Network", "Log", "Accessibility"):
                    await page.command(f"{domain}.enable")
                yield page
    finally:
        # The browser's own children hold its standard error, too, and the wait is for the end of all of them.
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    await reading


@asynccontextmanager
async def _received(connection: ClientConnection, page: Page) -> AsyncIterator[None]:
    async def receive() -> None:
        async for text in connection:
            message = json.loads(text)
            if message.get("sessionId") == page._session:
                page.receive(message)

    task = asyncio.create_task(receive())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _asked(connection: ClientConnection, number: int, method: str, **params: Any) -> Any:
    await connection.send(json.dumps({"id": number, "method": method, "params": params}))
    async for text in connection:
        message = json.loads(text)
        if message.get("id") == number:
            return message["result"]
    raise ProtocolError("the browser ended")


async def _tab(connection: ClientConnection) -> Page:
    target = await _asked(connection, 1, "Target.createTarget", url="about:blank")
    attached = await _asked(connection, 2, "Target.attachToTarget", targetId=target["targetId"], flatten=True)
    return Page(connection, attached["sessionId"])
