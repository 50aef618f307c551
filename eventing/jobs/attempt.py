"""One attempt at a job in this process: its task, its hard limit, and the ways it is ended from outside."""

import asyncio
from typing import Final

from db.types import json_dumps
from eventing.jobs.kind import JobKind, JobRun
from eventing.jobs.outcomes import Done

_GRACE_S: Final = 5.0


class HardLimitExceeded(TimeoutError):
    """The code of a job was cancelled at the hard time limit of its kind."""


def _storable(done: Done) -> Done | Exception:
    """Found out here, because it would fail the whole group that is committed together."""
    try:
        json_dumps(done.result)
    except TypeError as error:
        return error
    return done


class Attempt:
    """Runs the code of a kind once. Code that ignores its cancellation is left behind after a grace period."""

    def __init__(self, kind: JobKind, run: JobRun) -> None:
        self.run = run
        self.is_lost = False
        self.is_abandoned = False
        self._kind = kind
        self._task: asyncio.Task[Done | None] | None = None

    async def outcome(self) -> Done | Exception:
        """How the code ended, or why it was ended."""
        task = self._task = asyncio.ensure_future(self._kind.run(self.run))
        try:
            done, _ = await asyncio.wait({task}, timeout=self._kind.hard_limit_s)
            if not done:
                task.cancel()
                await asyncio.wait({task}, timeout=_GRACE_S)
                return HardLimitExceeded(f"the time limit of {self._kind.hard_limit_s:g} s was reached")
        except asyncio.CancelledError:
            task.cancel()
            raise
        if task.cancelled():
            return RuntimeError("the job was ended from outside")
        error = task.exception()
        if error is not None:
            return error if isinstance(error, Exception) else RuntimeError(repr(error))
        return _storable(task.result() or Done())

    def lose(self) -> None:
        """Another worker has the job: what this one still does would not count."""
        self.is_lost = True
        self._cancel()

    def abandon(self) -> None:
        """The runner stops."""
        if self._cancel():
            self.is_abandoned = True

    def _cancel(self) -> bool:
        return self._task is not None and self._task.cancel()
