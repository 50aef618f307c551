"""What is remembered of what was asked: each answer for a moment, or for as long as its version holds.

An answer counts from before its question was asked, and a question shares only an answer that may be kept: so no order
of reads, writes and what is heard of them shows anything older than `fresh_s` (docs/decisions/0036-caching.md).
"""

import asyncio
import copy
import pickle
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

import orjson
import structlog
from cachetools import LRUCache
from pydantic import TypeAdapter, ValidationError

from deployments.kit.contract import Contract
from deployments.kit.errors import DomainError
from eventing.subjects import change_in

Value = TypeVar("Value")
Part: TypeAlias = str | int | float | bool | Sequence[str] | Sequence[int] | None
Version: TypeAlias = str | int | Sequence[str | int | None]
Clock: TypeAlias = Callable[[], float]

FRESH_S: Final = 0.5
"""Half of the second after which a write shows everywhere; the other half is for the replica that was read."""

FRESH_OF_PRIMARY_S: Final = 0.9
"""The same for what is never read from a replica."""

_AHEAD: Final = 0.5
"""The share of its time after which an answer that is in use is asked for anew, where it is renewed ahead."""

_ABSENT_S: Final = 0.25
_ABSENT_KEPT: Final = 10_000
_MEMORY_S: Final = 60.0
"""Longer than anything is taken for fresh."""
_WARM_S: Final = 30.0
_MAX_SHARED: Final = 256 * 1024


log = structlog.get_logger(__name__)


class Key:
    """What an answer is about. There is none without a tenant; `parts` tell everything that the answer depends on,
    what its reader may see included."""

    __slots__ = ("tenant_id", "text")

    def __init__(self, tenant_id: str, kind: str, *parts: Part) -> None:
        if not tenant_id or not kind:
            raise ValueError("an answer belongs to a tenant and is of a kind")
        self.tenant_id = tenant_id
        # As JSON, in which no two lists of parts look alike: in Python 1 and True are the same key.
        self.text = orjson.dumps([tenant_id, kind, *parts])


class Changes:
    """When each tenant last changed in a way that makes what is remembered of it wrong. An area is what changed of it,
    the first word of events; "" is the tenant itself, with who may do what in it."""

    def __init__(self, memory_s: float = _MEMORY_S, clock: Clock = time.monotonic) -> None:
        self._memory_s = memory_s
        self._clock = clock
        self._at: OrderedDict[tuple[str, str], float] = OrderedDict()

    def note(self, tenant_id: str, area: str = "") -> None:
        """The tenant changes now."""
        now = self._clock()
        self._at.pop((tenant_id, area), None)
        self._at[tenant_id, area] = now
        while self._at and next(iter(self._at.values())) < now - self._memory_s:
            self._at.popitem(last=False)

    def heard(self, topics: Iterable[str]) -> None:
        """Note what the topics of commits tell; see `eventing.outbox.record`."""
        for topic in topics:
            if (change := change_in(topic)) is not None:
                area, tenant_id = change
                self.note(tenant_id, area)

    def latest(self, tenant_id: str, areas: Sequence[str] = ("",)) -> float:
        """The time (of the clock) of its latest change in one of the areas, 0 when there was none lately."""
        latest = 0.0
        for area in areas:  # a loop, since every request comes by several times
            at = self._at.get((tenant_id, area), 0.0)
            if at > latest:
                latest = at
        return latest


class Shared(Protocol):
    """A level that processes share. What it does not have or cannot tell in time is None, and never an error."""

    async def get(self, name: str) -> bytes | None:
        """What is kept under a name."""
        ...

    def put(self, name: str, value: bytes) -> None:
        """Keep a value, some time soon; perhaps not."""
        ...


class CacheNumbers(Contract):
    """What a cache of a process did since its start. `hits` were fresh, `renewed` had still the version, `shared` came
    from the level that processes share; `absent` were told again that there is nothing; `waits` joined a question that
    was under way; `misses` asked. `bytes` are of the pickled values: in memory they take a few times that."""

    name: str
    hits: int = 0
    renewed: int = 0
    shared: int = 0
    absent: int = 0
    waits: int = 0
    misses: int = 0
    evictions: int = 0
    entries: int = 0
    bytes: int = 0

    @property
    def hit_rate(self) -> float | None:
        """The share of reads that neither asked nor waited for who did; None before the first."""
        found = self.hits + self.renewed + self.shared + self.absent
        reads = found + self.waits + self.misses
        return found / reads if reads else None


@dataclass(slots=True)
class _Entry(Generic[Value]):
    value: Value
    as_of: float
    version: Version | None
    size: int


class _Kept(LRUCache[bytes, Any]):
    """The entries used last, within a number of bytes and of entries."""

    def __init__(self, max_bytes: int, capacity: int) -> None:
        super().__init__(max_bytes, getsizeof=lambda entry: entry.size)
        self._capacity = capacity
        self.evictions = 0

    def popitem(self) -> tuple[bytes, Any]:
        self.evictions += 1
        return super().popitem()

    def keep(self, key: bytes, entry: _Entry[Any]) -> None:
        if entry.size > self.maxsize:
            self.pop(key, None)
            return
        self[key] = entry
        while len(self) > self._capacity:
            self.popitem()


@dataclass(slots=True)
class _Flight(Generic[Value]):
    as_of: float
    task: asyncio.Task[Value]


class Cache(Generic[Value]):
    """Answers by key. What `get` returns was true at most `fresh_s` seconds before the call, and after the latest
    change of its tenant in `areas` that this process has heard of.

    Values are handed out as they are kept: they must not be changed. `absent` are the failures that tell that there is
    nothing: they are remembered for `absent_s` seconds, apart from values, so that a flood of questions about nothing
    pushes no value out. `owner` is the tenant of a value, where its key cannot tell. `size` is in bytes, where pickling
    does not tell it. With a `shape`, values of a version are shared with other processes as JSON. One that is renewed
    `ahead` asks anew while what it has may still be handed out, so that nobody waits for what many use.
    """

    def __init__(
        self,
        name: str,
        caches: "Caches",
        *,
        fresh_s: float = FRESH_S,
        areas: Sequence[str] = ("",),
        capacity: int = 10_000,
        max_bytes: int = 16 * 1024 * 1024,
        absent: tuple[type[Exception], ...] = (),
        absent_s: float = _ABSENT_S,
        ahead: bool = False,
        owner: Callable[[Value], str] | None = None,
        size: Callable[[Value], int] | None = None,
        shape: Any = None,
    ) -> None:
        self.name = name
        self._caches = caches
        self._clock = caches.clock
        self._fresh_s = fresh_s
        self._areas = tuple(areas)
        self._absent_types = absent
        self._absent_s = absent_s
        self._ahead_s = _AHEAD * fresh_s if ahead else float("inf")
        self._owner = owner
        self._size = size or _size_of
        self._shape = shape
        self._format: tuple[TypeAdapter[Value], bytes] | None = None
        self._entries = _Kept(max_bytes, capacity)
        self._absent = _Kept(_ABSENT_KEPT, _ABSENT_KEPT)
        self._flights: dict[bytes, _Flight[Value]] = {}
        self._loads: dict[tuple[bytes, str], asyncio.Task[Value]] = {}
        self._counts = {"hits": 0, "renewed": 0, "shared": 0, "absent": 0, "waits": 0, "misses": 0}
        caches.add(self)

    async def get(
        self,
        key: Key,
        load: Callable[[], Awaitable[Value]],
        version: Callable[[], Awaitable[Version]] | None = None,
    ) -> Value:
        """The answer; what `load` or `version` raise, all who wait get.

        With `version`, an answer is kept for as long as that is the same: it is asked again when the answer is not
        fresh any more, and what it returns must have been true before the call of `load` that follows.
        """
        entry: _Entry[Value] | None = self._entries.get(key.text)
        if entry is not None and self._is_fresh(key, entry.as_of, self._fresh_s, entry.value):
            self._counts["hits"] += 1
            if self._clock() > entry.as_of + self._ahead_s and key.text not in self._flights:
                self._start(key, load, version)
            return entry.value
        nothing: _Entry[Exception] | None = self._absent.get(key.text)
        if nothing is not None and self._is_fresh(key, nothing.as_of, self._absent_s):
            self._counts["absent"] += 1
            raise copy.copy(nothing.value)
        flight = self._flights.get(key.text)
        # An answer that was asked for before a change must not be given to who asks after it.
        if flight is None or not self._is_fresh(key, flight.as_of, self._fresh_s):
            flight = self._start(key, load, version)
        else:
            self._counts["waits"] += 1
        try:
            # Shielded: a caller that leaves must not fail the others who wait for the same answer.
            return await asyncio.shield(flight.task)
        except DomainError as error:
            # Each gets one of their own: a traceback grows with everybody who raises it.
            raise copy.copy(error) from error

    def learn(self, key: Key, value: Value, as_of: float) -> None:
        """Remember an answer that came with another, whose question was asked at `as_of` (of the clock)."""
        self._remember(key, _Entry(value, as_of, None, self._size(value)))

    async def at(self, key: Key, number: Version, load: Callable[[], Awaitable[Value]]) -> Value:
        """The answer of a version that the caller has just read."""
        entry: _Entry[Value] | None = self._entries.get(key.text)
        if entry is not None and entry.version == number:
            self._counts["hits"] += 1
            return entry.value
        as_of = self._clock()
        value = await self._once(key, load, number)
        self._remember(key, _Entry(value, as_of, number, self._size(value)))
        return value

    def known(self, key: Key) -> Value | None:
        """What `keep` was given for the key, unless it had to make room."""
        entry: _Entry[Value] | None = self._entries.get(key.text)
        self._counts["misses" if entry is None else "hits"] += 1
        return None if entry is None else entry.value

    def keep(self, key: Key, value: Value, size: int | None = None) -> None:
        """Keep what never changes: the key names its version."""
        self._entries.keep(key.text, _Entry(value, float("inf"), None, self._size(value) if size is None else size))

    def numbers(self) -> CacheNumbers:
        """What it did until now."""
        kept = self._entries
        return CacheNumbers(
            name=self.name, evictions=kept.evictions, entries=len(kept), bytes=int(kept.currsize), **self._counts
        )

    def _is_fresh(self, key: Key, as_of: float, life_s: float, value: Value | None = None) -> bool:
        if self._clock() > as_of + life_s:
            return False
        tenant_id = key.tenant_id if self._owner is None or value is None else self._owner(value)
        return as_of > self._caches.changes.latest(tenant_id, self._areas)

    def _start(
        self,
        key: Key,
        load: Callable[[], Awaitable[Value]],
        version: Callable[[], Awaitable[Version]] | None,
    ) -> _Flight[Value]:
        as_of = self._clock()
        flight = _Flight(as_of, asyncio.ensure_future(self._ask(key, load, version, as_of)))

        def landed(task: asyncio.Task[Value]) -> None:
            if self._flights.get(key.text) is flight:
                del self._flights[key.text]
            _retrieve(task)

        flight.task.add_done_callback(landed)
        self._flights[key.text] = flight
        return flight

    async def _ask(
        self,
        key: Key,
        load: Callable[[], Awaitable[Value]],
        version: Callable[[], Awaitable[Version]] | None,
        as_of: float,
    ) -> Value:
        try:
            if version is None:
                self._counts["misses"] += 1
                value, number = await load(), None
            else:
                number = await version()
                entry: _Entry[Value] | None = self._entries.get(key.text)
                if entry is not None and entry.version == number:
                    self._counts["renewed"] += 1
                    entry.as_of = max(entry.as_of, as_of)
                    return entry.value
                value = await self._once(key, load, number)
        except self._absent_types as error:
            self._absent.keep(key.text, _Entry(_bare(error), as_of, None, 1))
            self._forget(key, as_of)
            raise
        self._remember(key, _Entry(value, as_of, number, self._size(value)))
        return value

    def _remember(self, key: Key, entry: _Entry[Value]) -> None:
        newer: _Entry[Value] | None = self._entries.get(key.text)
        # Questions can overtake each other.
        if newer is None or newer.as_of <= entry.as_of:
            self._entries.keep(key.text, entry)

    def _forget(self, key: Key, as_of: float) -> None:
        entry: _Entry[Value] | None = self._entries.get(key.text)
        if entry is not None and entry.as_of <= as_of:
            del self._entries[key.text]

    async def _once(self, key: Key, load: Callable[[], Awaitable[Value]], number: Version) -> Value:
        """The answer of a version, made by one of all who ask for it, however long ago that began."""
        place = (key.text, orjson.dumps(number).decode())
        task = self._loads.get(place)
        if task is None:
            task = self._loads[place] = asyncio.ensure_future(self._make(key, load, place[1]))

            def made(task: asyncio.Task[Value]) -> None:
                del self._loads[place]
                _retrieve(task)

            task.add_done_callback(made)
        return await asyncio.shield(task)

    async def _make(self, key: Key, load: Callable[[], Awaitable[Value]], number: str) -> Value:
        shared = self._caches.shared
        if shared is None or self._shape is None:
            self._counts["misses"] += 1
            return await load()
        if self._format is None:
            self._format = _format_of(self._shape)
        adapter, shape = self._format
        # The whole key goes along, so that no accident of names hands out what belongs to another.
        seal = orjson.dumps([key.text.decode(), number, shape.decode()]) + b"\n"
        name = f"{self.name}.{sha256(seal).hexdigest()}"
        found = await shared.get(name)
        if found is not None and found.startswith(seal):
            try:
                value = adapter.validate_json(found[len(seal) :])
            except ValidationError:
                pass
            else:
                self._counts["shared"] += 1
                return value
        self._counts["misses"] += 1
        value = await load()
        sealed = seal + adapter.dump_json(value)
        if len(sealed) <= _MAX_SHARED:
            shared.put(name, sealed)
        return value


class Caches:
    """The caches of one process, what they hear of changes, and the level that they share with other processes."""

    def __init__(self, clock: Clock = time.monotonic, changes: Changes | None = None) -> None:
        self.clock = clock
        self.changes = changes or Changes(clock=clock)
        self.shared: Shared | None = None
        self.warmers: list[Callable[[], Awaitable[None]]] = []
        """What makes ready, after the start of the process, what will be asked for first."""
        self._all: list[Cache[Any]] = []

    def add(self, cache: Cache[Any]) -> None:
        """Count the cache among those of the process."""
        self._all.append(cache)

    async def warm(self) -> None:
        """Make ready what will be asked for first. What fails is asked for when it is wanted."""
        for warmer in self.warmers:
            try:
                async with asyncio.timeout(_WARM_S):
                    await warmer()
            except Exception as error:  # noqa: BLE001 - nobody waits for it
                log.info("a cache stays cold", reason=str(error) or type(error).__name__)

    def numbers(self) -> list[CacheNumbers]:
        """What each did, those of one name together."""
        return added(cache.numbers() for cache in self._all)


def added(numbers: Iterable[CacheNumbers]) -> list[CacheNumbers]:
    """The numbers of each name, added up."""
    found: dict[str, CacheNumbers] = {}
    for each in numbers:
        before = found.get(each.name, CacheNumbers(name=each.name))
        sums = {name: value + getattr(each, name) for name, value in before.model_dump(exclude={"name"}).items()}
        found[each.name] = CacheNumbers(name=each.name, **sums)
    return [found[name] for name in sorted(found)]


def _size_of(value: object) -> int:
    return len(value) if isinstance(value, bytes) else len(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))


def _format_of(shape: Any) -> tuple[TypeAdapter[Any], bytes]:
    """How values are written, and what tells it from how another release writes them."""
    adapter: TypeAdapter[Any] = TypeAdapter(shape)
    return adapter, sha256(orjson.dumps(adapter.json_schema(), option=orjson.OPT_SORT_KEYS)).hexdigest()[:16].encode()


def _bare(error: Exception) -> Exception:
    """The failure without what it would keep alive."""
    bare = copy.copy(error)
    bare.__cause__ = bare.__context__ = None
    return bare.with_traceback(None)


def _retrieve(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
