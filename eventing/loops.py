"""Endless loops as tasks: run until all of them ended, fail when one fails."""

import asyncio
from collections.abc import Collection


async def ended(loops: Collection[asyncio.Task[None]]) -> None:
    """Return when every loop ended or was cancelled; raise the failure of the first that failed. Cancels the rest."""
    try:
        done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for loop in loops:
            loop.cancel()
    for loop in done:
        if not loop.cancelled() and (error := loop.exception()) is not None:
            raise error
