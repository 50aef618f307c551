"""What came for a consumer and was not taken yet: a line for each tenant, served in turns."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from nats.aio.msg import Msg

from db.sharing import Sharing

_LITTLE: Final = 8
_FEW: Final = 2


class Lines:
    """Messages of several tenants, each tenant's in the order they came in.

    What one batch has of a tenant is dealt with before another batch has some: batches never share one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lines: dict[str, deque[Msg]] = {}
        self._at_work: set[str] = set()
        self._rest_until: dict[str, float] = {}
        self._all_rest_until = float("-inf")
        self._is_put_off = False
        self._sharing = Sharing(clock)

    @property
    def waiting(self) -> Sequence[Msg]:
        """What was not taken yet."""
        return [message for line in self._lines.values() for message in line]

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def has(self, limit: int) -> bool:
        """Whether as much waits as one tenant gets of `limit`."""
        return len(self) >= self._share(limit)

    def add(self, message: Msg) -> None:
        """At the end of its tenant's line."""
        self._lines.setdefault(tenant_of(message), deque()).append(message)

    def take(self, limit: int) -> list[Msg]:
        """Up to `limit` messages, of each tenant the same number at most; nothing of who is at work or rests.

        Where there are several tenants, or were a moment ago, a sixth of `limit` of one: who comes meanwhile may wait
        for its end.
        """
        self._sharing.see(len(self._lines.keys() | self._at_work))
        tenants = self._ready()[:limit]
        # Who has little does not wait for a batch in which another has much; but the other is not put off twice.
        little = [tenant for tenant in tenants if len(self._lines[tenant]) <= _LITTLE]
        if self._is_put_off or len(little) == len(tenants):
            little = []
        self._is_put_off = bool(little)
        share = self._share(limit)
        taken: list[Msg] = []
        for tenant in little or tenants:
            line = self._lines.pop(tenant)
            taken += (line.popleft() for _ in range(min(share, len(line))))
            if line:
                self._lines[tenant] = line  # behind the others, whose turn is next
            self._at_work.add(tenant)
        return taken

    def done(self, taken: Sequence[Msg], rest_s: float = 0.0) -> None:
        """These are dealt with. Their tenants rest, so that more comes together; so does everybody, where more than two
        tenants make the load."""
        tenants = {tenant_of(message) for message in taken}
        self._at_work -= tenants
        if not rest_s:
            return
        until = self._clock() + rest_s
        if len(tenants) > _FEW:
            self._all_rest_until = until
        else:
            self._rest_until |= dict.fromkeys(tenants, until)

    def rest_s(self) -> float:
        """Seconds until somebody's rest ends; infinite when nobody's does."""
        now = self._clock()
        ends = (until for until in (*self._rest_until.values(), self._all_rest_until) if until > now)
        return min(ends, default=float("inf")) - now

    def wake(self) -> None:
        """End every rest."""
        self._rest_until.clear()
        self._all_rest_until = float("-inf")

    def _ready(self) -> list[str]:
        now = self._clock()
        if now < self._all_rest_until:
            return []
        for tenant in [tenant for tenant, until in self._rest_until.items() if until <= now]:
            del self._rest_until[tenant]
        return [tenant for tenant in self._lines if tenant not in self._at_work and tenant not in self._rest_until]

    def _share(self, limit: int) -> int:
        return self._sharing.share(limit, len(self._lines))


def tenant_of(message: Msg) -> str:
    """Whose event it is, by its subject."""
    return message.subject.split(".", 2)[1]
