"""Asks the process that learns from figures, and starts it when it is needed."""

import asyncio
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

import structlog

import deployments
from deployments.analytics.forecasts import worker
from deployments.analytics.forecasts.errors import ForecastBusy, ForecastFailed

# Less than a request is waited for, so that whoever asks is told what it was.
_ANSWER_S: Final = 8.0
_LIMIT_S: Final = 60.0
_LINE_BYTES: Final = 16 << 20
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

_log = structlog.get_logger(__name__)


class Fitter:
    """One process, one question at a time. It ends by itself after `idle_s` seconds without one, and with `close`."""

    def __init__(self, *, answer_s: float = _ANSWER_S, idle_s: float = 60.0, limit_s: float = _LIMIT_S) -> None:
        self._answer_s = answer_s
        self._idle_s = idle_s
        self._limit_s = limit_s
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._abandoned: set[asyncio.Task[dict[str, Any]]] = set()

    async def ask(self, task: str, **asked: Any) -> dict[str, Any]:
        """The answer of one of `worker.TASKS`.

        Raises ForecastBusy when there is none in time, waiting for others included; ForecastFailed when the figures
        cannot be learned from.
        """
        exchange = asyncio.create_task(self._exchange(json.dumps([task, asked]).encode() + b"\n"))
        try:
            async with asyncio.timeout(self._answer_s):
                said = await asyncio.shield(exchange)
        except TimeoutError as error:
            raise ForecastBusy(retry_after=5.0) from error
        finally:
            self._abandon(exchange)
        if "failed" in said:
            _log.warning("figures cannot be learned from", task=task, error=said["failed"])
            raise ForecastFailed
        return said

    async def close(self) -> None:
        """End the process, and what still waits for it."""
        for exchange in self._abandoned:
            exchange.cancel()
        await asyncio.gather(*self._abandoned, return_exceptions=True)
        await self._end()

    def _abandon(self, exchange: asyncio.Task[dict[str, Any]]) -> None:
        """An answer that comes too late is still heard, by nobody: a process that was ended for it would have to be
        started again for the next, and be late again."""
        if not exchange.done():
            self._abandoned.add(exchange)
            exchange.add_done_callback(self._forget)

    def _forget(self, exchange: asyncio.Task[dict[str, Any]]) -> None:
        self._abandoned.discard(exchange)
        if not exchange.cancelled():
            exchange.exception()

    async def _exchange(self, line: bytes) -> dict[str, Any]:
        waits = asyncio.get_running_loop().time() + self._answer_s
        async with self._turn:
            if asyncio.get_running_loop().time() >= waits:
                raise ForecastBusy(retry_after=5.0)  # nobody waits for it any more
            try:
                async with asyncio.timeout(self._limit_s):
                    return await self._asked(line)
            except BaseException:
                # Whoever asks next must not hear this answer.
                await asyncio.shield(self._end())
                raise

    async def _asked(self, line: bytes) -> dict[str, Any]:
        # It may have ended between two questions without anybody having noticed: then another one is asked.
        for _ in range(2):
            process = await self._running()
            with suppress(ConnectionError):
                questions = cast(asyncio.StreamWriter, process.stdin)
                questions.write(line)
                await questions.drain()
                if answer := await cast(asyncio.StreamReader, process.stdout).readline():
                    said: dict[str, Any] = json.loads(answer)
                    return said
            await self._end()
        raise ForecastBusy(retry_after=5.0)

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            cast(asyncio.StreamWriter, process.stdin).close()
            await process.wait()

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is not None:
            await self._end()
        if self._process is None:
            environment = {"PYTHONPATH": str(Path(deployments.__file__).parents[1]), "PATH": os.defpath}
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", worker.__name__, str(self._idle_s)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=environment | dict.fromkeys(_THREADS, "1"),
                limit=_LINE_BYTES,
                start_new_session=True,
            )
        return self._process
