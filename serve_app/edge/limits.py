"""Rate limits (H3): how often a tenant and each of its callers may use a class of routes in a minute.

Counted in sliding windows, so a minute's worth cannot be had twice around its turn. Every edge counts what it admits
and tells the others within `TELL_S`: together they admit at most what each admits in that time beyond the limit.
"""

import asyncio
import math
import time
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from math import floor
from typing import Final, TypeAlias

from limits import RateLimitItemPerMinute
from limits.storage.base import SlidingWindowCounterSupport, Storage, TimestampedSlidingWindow
from limits.strategies import SlidingWindowCounterRateLimiter

from deployments.identity.contracts import RateLimit, RouteClass, TenantProfile
from deployments.kit.addresses import network_of
from deployments.kit.errors import TooManyRequests
from deployments.kit.principal import Principal

Headers: TypeAlias = tuple[tuple[str, str], ...]
Tally: TypeAlias = list[tuple[str, int]]

TELL_S: Final = 0.1
"""Seconds after which the other edges hear of what was admitted here."""

_CAPACITY: Final = 200_000
_TOLD_AT_ONCE: Final = 2_000


class RateLimited(TooManyRequests):
    """The tenant or the caller has used up its calls of this class of routes."""

    code, title = "rate.limited", "Too many requests: a rate limit is used up"


class RateLimits:
    """Charges requests to the limits that apply to them. `defaults` hold where a tenant's settings say nothing."""

    def __init__(self, defaults: Mapping[RouteClass, RateLimit | None]) -> None:
        self._defaults = defaults
        self._windows = SharedWindows()
        self._limiter = SlidingWindowCounterRateLimiter(self._windows)

    def charge(
        self, route_class: RouteClass, principal: Principal, profile: TenantProfile | None
    ) -> tuple[Headers, float]:
        """Count a request. Returns the `RateLimit` headers, and in how many seconds to come back: 0 when admitted.

        The fields are those of draft-ietf-httpapi-ratelimit-headers: one policy for all of the tenant's callers
        together and one for each, which is a user, an API key, or without a credential a network address.
        """
        own = profile.rate_limits if profile is not None else {}
        limit = own[route_class] if route_class in own else self._defaults.get(route_class)
        if limit is None:
            return (), 0.0
        return self._charged(
            (
                (f"{route_class}-caller", limit.caller_per_minute, (principal.tenant_id, _caller(principal))),
                (route_class, limit.per_minute, (principal.tenant_id, "")),
            )
        )

    def charge_refusal(self, address: str) -> tuple[Headers, float]:
        """Count a request without a valid credential as an attempt of its address to get in."""
        limit = self._defaults.get("auth")
        quota = limit.caller_per_minute if limit is not None else None
        return self._charged((("auth-caller", quota, ("", f"address:{network_of(address)}")),))

    def admitted(self) -> Tally:
        """What was admitted here since the last call, for the other edges."""
        return self._windows.taken()

    def heard(self, tally: Iterable[tuple[str, int]]) -> None:
        """What another edge has admitted."""
        self._windows.add(tally)

    async def anything_admitted(self) -> None:
        """Wait until there is something to tell."""
        await self._windows.changed.wait()

    def _charged(self, policies: tuple[tuple[str, int | None, tuple[str, str]], ...]) -> tuple[Headers, float]:
        names, states = [], []
        wait = 0.0
        for name, quota, who in policies:
            if quota is None or wait:
                continue
            item = _per_minute(quota)
            admitted = self._limiter.hit(item, name, *who)
            stats = self._limiter.get_window_stats(item, name, *who)
            left = max(0.0, stats.reset_time - time.time())
            names.append(f'"{name}";q={quota};w=60')
            states.append(f'"{name}";r={max(0, stats.remaining)};t={math.ceil(left)}')
            if not admitted:
                wait = max(1.0, left)
        if not names:
            return (), 0.0
        return (("ratelimit-policy", ", ".join(names)), ("ratelimit", ", ".join(states))), wait


class SharedWindows(Storage, SlidingWindowCounterSupport, TimestampedSlidingWindow):
    """Counters of windows, in this process, that take in what others count. At most 200,000, the oldest go first.

    The library's own storage in memory looks through all of its counters a hundred times a second.
    """

    STORAGE_SCHEME = ["formstream"]  # noqa: RUF012 - the library's way to name a storage

    def __init__(self) -> None:
        super().__init__()
        self._counters: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._taken: Counter[str] = Counter()
        self.changed = asyncio.Event()

    def taken(self) -> Tally:
        """Up to 2,000 counters with what was added to each by `incr` since they were taken last."""
        told = dict(self._taken.most_common(_TOLD_AT_ONCE)) if len(self._taken) > _TOLD_AT_ONCE else dict(self._taken)
        for key in told:
            del self._taken[key]
        if not self._taken:
            self.changed.clear()
        return list(told.items())

    def add(self, tally: Iterable[tuple[str, int]]) -> None:
        """Add what others counted."""
        for key, amount in tally:
            self._add(key, 120.0, amount)

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count here."""
        self._taken[key] += amount
        self.changed.set()
        return self._add(key, expiry, amount)

    def get(self, key: str) -> int:
        """The count."""
        count, expires_at = self._counters.get(key, (0, 0.0))
        return count if expires_at > time.time() else 0

    def get_expiry(self, key: str) -> float:
        """When the count ends (Unix time)."""
        return self._counters.get(key, (0, time.time()))[1]

    def check(self) -> bool:
        """It is there."""
        return True

    def reset(self) -> int:
        """Forget everything."""
        count = len(self._counters)
        self._counters.clear()
        return count

    def clear(self, key: str) -> None:
        """Forget a count."""
        self._counters.pop(key, None)

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count, unless the window has no room left."""
        previous, previous_ttl, current, _ = self.get_sliding_window(key, expiry)
        if floor(previous * previous_ttl / expiry + current) + amount > limit:
            return False
        self.incr(self.sliding_window_keys(key, expiry, time.time())[1], 2 * expiry, amount)
        return True

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Count and remaining seconds of the window before and of this one."""
        now = time.time()
        previous_key, current_key = self.sliding_window_keys(key, expiry, now)
        left = (1 - (now / expiry) % 1) * expiry
        previous = self.get(previous_key)
        return previous, left if previous else 0.0, self.get(current_key), left + expiry

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget both windows."""
        for window in self.sliding_window_keys(key, expiry, time.time()):
            self.clear(window)

    def _add(self, key: str, expiry: float, amount: int) -> int:
        now = time.time()
        count, expires_at = self._counters.get(key, (0, 0.0))
        if expires_at <= now:
            count, expires_at = 0, now + expiry
            self._counters.pop(key, None)
        self._counters[key] = (count + amount, expires_at)
        # All live about equally long, so the oldest is the first to end.
        while len(self._counters) > _CAPACITY or next(iter(self._counters.values()))[1] <= now:
            self._counters.popitem(last=False)
        return count + amount


@lru_cache(maxsize=1024)
def _per_minute(quota: int) -> RateLimitItemPerMinute:
    return RateLimitItemPerMinute(quota)


def _caller(principal: Principal) -> str:
    if principal.kind == "anonymous":
        return f"address:{network_of(principal.origin.address)}"
    return principal.subject
