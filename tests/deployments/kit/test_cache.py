"""C1, C2: what is remembered is never another tenant's, never old for more than a moment, and asked for once."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.kit.cache import Cache, CacheNumbers, Caches, Key, added
from deployments.kit.errors import NotFound
from eventing.subjects import change_topic


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Memory:
    """A level that processes share, with everything that can happen to one."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.down = False

    async def get(self, name: str) -> bytes | None:
        await asyncio.sleep(0)
        return None if self.down else self.kept.get(name)

    def put(self, name: str, value: bytes) -> None:
        if not self.down:
            self.kept[name] = value


class Source:
    """A thing that is written and read; reading takes turns of the loop, as a query does."""

    def __init__(self, value: int = 0) -> None:
        self.value = value
        self.reads = 0
        self.versions = 0
        self.gate: asyncio.Event | None = None

    async def load(self) -> int:
        self.reads += 1
        value = self.value
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(0)
        return value

    async def version(self) -> int:
        self.versions += 1
        return self.value


def cache_of(clock: Clock, **options: Any) -> tuple[Cache[Any], Caches]:
    caches = Caches(clock)
    return Cache("numbers", caches, **options), caches


KEY = Key("acme", "number", "n1")

parts = st.lists(st.one_of(st.text(max_size=4), st.integers(-3, 3), st.booleans(), st.none()), max_size=3)
keys = st.tuples(st.sampled_from(["acme", "acme2", 'a","b', "a"]), st.sampled_from(["form", "list"]), parts)


class TestKeys:
    @given(keys, keys)
    def test_two_keys_are_one_only_when_all_of_them_is(self, one: Any, other: Any) -> None:
        """C2: whatever the parts are, the key of one tenant is never that of another."""
        same = repr(one) == repr(other)  # tells True from 1, which == does not
        assert (Key(one[0], one[1], *one[2]).text == Key(other[0], other[1], *other[2]).text) is same

    def test_there_is_none_without_a_tenant(self) -> None:
        """C1: a key that names no tenant cannot be made."""
        with pytest.raises(ValueError, match="tenant"):
            Key("", "form", "f1")

    @given(st.lists(st.tuples(keys, st.integers(0, 2)), max_size=12))
    def test_nobody_gets_what_was_loaded_for_another(self, asked: list[Any]) -> None:
        """C2: of any run of reads, each answer is that of its own tenant, in the process and from the shared level."""

        async def run() -> None:
            shared = Memory()
            processes = []
            for _ in range(3):
                cache, caches = cache_of(Clock(), shape=str)
                caches.shared = shared
                processes.append(cache)
            for (tenant, kind, rest), which in asked:

                async def load(mine: str = repr((tenant, kind, rest))) -> str:
                    return mine

                async def version() -> int:
                    return 1

                found = await processes[which].get(Key(tenant, kind, *rest), load, version)
                assert found == repr((tenant, kind, rest))

        asyncio.run(run())

    async def test_a_shared_value_under_the_wrong_name_is_not_taken(self) -> None:
        """C2: the shared level may give what it likes: what is not sealed with the whole key is asked for."""
        shared = Memory()
        mine, caches = cache_of(Clock(), shape=int)
        caches.shared = shared
        await mine.get(KEY, Source(7).load, Source(7).version)
        (foreign,) = shared.kept.values()
        other = Source(7)
        again, caches = cache_of(Clock(), shape=int)
        caches.shared = _Always(foreign)
        assert await again.get(Key("emca", "number", "n1"), other.load, other.version) == 7
        assert other.reads == 1


class _Always(Memory):
    def __init__(self, value: bytes) -> None:
        super().__init__()
        self._value = value

    async def get(self, name: str) -> bytes | None:
        return self._value


class TestStaleness:
    @pytest.mark.parametrize("hints", [0.0, 0.5, 1.0])
    @pytest.mark.parametrize("versioned", [True, False])
    async def test_a_write_shows_within_half_a_second_whoever_hears_of_it(self, hints: float, versioned: bool) -> None:
        """C2: under writers and readers in any order, with hints lost, with processes that come and go and a shared
        level that fails: nobody is shown what was overwritten half a second before they asked."""
        for seed in range(25):
            await _concurrent(random.Random(seed), hints, versioned=versioned)

    async def test_who_read_before_the_write_does_not_fill_in_after_it(self) -> None:
        """C2: a question that is under way when the change is heard of answers only who asked before."""
        clock, source = Clock(), Source(1)
        cache, caches = cache_of(clock)
        source.gate = asyncio.Event()
        early = asyncio.create_task(cache.get(KEY, source.load))
        await _turns()
        clock.now += 0.01
        source.value = 2
        caches.changes.note("acme")
        clock.now += 0.01
        late = asyncio.create_task(cache.get(KEY, source.load))
        await _turns()
        source.gate.set()
        assert (await early, await late) == (1, 2)
        assert await cache.get(KEY, source.load) == 2
        assert source.reads == 2

    async def test_of_two_questions_the_later_one_is_remembered(self) -> None:
        """C2: the answer to an older question, however late it comes, does not take the place of a newer one."""
        clock, source = Clock(), Source(1)
        cache, _ = cache_of(clock)
        slow = source.gate = asyncio.Event()
        early = asyncio.create_task(cache.get(KEY, source.load))
        await _turns()
        clock.now += 0.6
        source.value, source.gate = 2, None
        assert await cache.get(KEY, source.load) == 2
        slow.set()
        assert await early == 1
        assert await cache.get(KEY, source.load) == 2
        assert source.reads == 2

    async def test_what_took_long_to_ask_is_not_given_to_who_came_late(self) -> None:
        """C2: a question that began half a second ago may tell what was true half a second ago."""
        clock, source = Clock(), Source(1)
        cache, _ = cache_of(clock)
        source.gate = asyncio.Event()
        early = asyncio.create_task(cache.get(KEY, source.load))
        await _turns()
        clock.now += 0.51
        source.value = 2
        late = asyncio.create_task(cache.get(KEY, source.load))
        await _turns()
        source.gate.set()
        assert (await early, await late) == (1, 2)

    async def test_a_change_of_another_tenant_or_area_forgets_nothing(self) -> None:
        clock, source = Clock(), Source(1)
        cache, caches = cache_of(clock, areas=("form",))
        await cache.get(KEY, source.load)
        clock.now += 0.1
        caches.changes.heard([change_topic("form", "other"), change_topic("tenant", "acme"), "events", "jobs.high"])
        await cache.get(KEY, source.load)
        assert source.reads == 1
        caches.changes.heard([change_topic("form", "acme")])
        await cache.get(KEY, source.load)
        assert source.reads == 2


async def _turns() -> None:
    """Until everything has gone as far as it gets."""
    for _ in range(5):
        await asyncio.sleep(0)


def _source(
    rows: dict[bytes, list[tuple[float, int]]], chance: random.Random, versioned: bool, key: Key
) -> tuple[Callable[[], Awaitable[Any]], Callable[[], Awaitable[int]] | None]:
    async def load() -> tuple[str, int]:
        value = rows[key.text][-1][1]
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        return key.tenant_id, value

    async def version() -> int:
        value = rows[key.text][-1][1]
        await asyncio.sleep(0)
        return value

    return load, version if versioned else None


async def _concurrent(chance: random.Random, hints: float, *, versioned: bool) -> None:
    clock, shared = Clock(), Memory()
    rows = {Key(tenant, "number").text: [(clock.now - 10, 0)] for tenant in ("acme", "globex")}

    def process() -> tuple[Cache[Any], Caches]:
        cache, caches = cache_of(clock, shape=tuple[str, int])
        caches.shared = shared
        return cache, caches

    processes = [process() for _ in range(3)]

    source = partial(_source, rows, chance, versioned)

    async def reader() -> None:
        for _ in range(30):
            key = Key(chance.choice(["acme", "globex"]), "number")
            asked = clock.now
            tenant, seen = await chance.choice(processes)[0].get(key, *source(key))
            # Everything that was written half a second before the question is in the answer.
            overdue = max(value for at, value in rows[key.text] if at < asked - 0.5)
            assert tenant == key.tenant_id
            assert seen >= overdue
            clock.now += chance.choice([0.0, 0.01, 0.2])
            await asyncio.sleep(0)

    async def writer() -> None:
        for _ in range(40):
            key = Key(chance.choice(["acme", "globex"]), "number")
            rows[key.text].append((clock.now, rows[key.text][-1][1] + 1))
            for _, caches in processes:
                if chance.random() < hints:
                    caches.changes.note(key.tenant_id)
            shared.down = chance.random() < 0.3
            if chance.random() < 0.1:
                processes[chance.randrange(3)] = process()
            clock.now += chance.choice([0.0, 0.02, 0.15])
            await asyncio.sleep(0)

    await asyncio.gather(*(reader() for _ in range(6)), writer())


class TestSingleFlight:
    async def test_many_who_ask_at_once_make_one_question(self) -> None:
        """C2: a stampede asks once."""
        cache, _ = cache_of(Clock())
        source = Source(3)
        assert await asyncio.gather(*(cache.get(KEY, source.load) for _ in range(200))) == [3] * 200
        numbers = cache.numbers()
        assert (source.reads, numbers.misses, numbers.waits) == (1, 1, 199)

    async def test_a_leader_who_leaves_fails_nobody(self) -> None:
        """C1: whoever asked first may be cancelled; the others get their answer."""
        cache, _ = cache_of(Clock())
        source = Source(3)
        source.gate = asyncio.Event()
        leader, follower = (asyncio.create_task(cache.get(KEY, source.load)) for _ in range(2))
        await _turns()
        leader.cancel()
        await asyncio.wait({leader})
        source.gate.set()
        assert leader.cancelled()
        assert await follower == 3
        assert source.reads == 1

    async def test_a_long_question_of_one_version_is_asked_once(self) -> None:
        """C2: as long as the version is the same, nobody asks for what is being asked, however long that takes."""
        clock, source = Clock(), Source(3)
        cache, _ = cache_of(clock)
        source.gate = asyncio.Event()
        waiting = []
        for _ in range(5):
            waiting.append(asyncio.create_task(cache.get(KEY, source.load, source.version)))
            await _turns()
            clock.now += 1.0
        source.gate.set()
        assert await asyncio.gather(*waiting) == [3] * 5
        assert (source.reads, source.versions) == (1, 5)

    async def test_a_failure_reaches_all_and_is_not_remembered(self) -> None:
        cache, _ = cache_of(Clock())
        asked = 0

        async def fails() -> int:
            nonlocal asked
            asked += 1
            raise OSError

        outcomes = await asyncio.gather(*(cache.get(KEY, fails) for _ in range(3)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [OSError] * 3
        assert asked == 1
        with pytest.raises(OSError):
            await cache.get(KEY, fails)
        assert asked == 2


class TestAhead:
    async def test_what_is_in_use_is_asked_anew_before_anybody_has_to_wait(self) -> None:
        """C3: one question, behind the backs of those who get what is still good."""
        clock, source = Clock(), Source(1)
        cache, _ = cache_of(clock, fresh_s=1.0, ahead=True)
        assert await cache.get(KEY, source.load) == 1
        source.value, source.gate = 2, asyncio.Event()
        clock.now += 0.4
        await cache.get(KEY, source.load)
        assert source.reads == 1
        clock.now += 0.2
        for _ in range(3):
            assert await asyncio.wait_for(cache.get(KEY, source.load), 1) == 1
            await asyncio.sleep(0)
        assert source.reads == 2
        source.gate.set()
        while await cache.get(KEY, source.load) == 1:
            await asyncio.sleep(0)
        clock.now += 0.45  # counted from before the question
        assert await asyncio.wait_for(cache.get(KEY, source.load), 1) == 2
        assert source.reads == 2

    async def test_what_is_found_to_be_gone_is_not_handed_out_any_more(self) -> None:
        """U2: a credential that was taken back does not live on because it is in use."""
        clock, source = Clock(), Source(1)
        cache, _ = cache_of(clock, fresh_s=1.0, ahead=True, absent=(NotFound,))
        asked = asyncio.Event()

        async def gone() -> int:
            asked.set()
            raise NotFound

        assert await cache.get(KEY, source.load) == 1
        clock.now += 0.6
        assert await cache.get(KEY, gone) == 1
        await asked.wait()
        with pytest.raises(NotFound):
            await cache.get(KEY, gone)

    async def test_a_failure_costs_nobody_what_is_still_good(self) -> None:
        clock, source = Clock(), Source(1)
        cache, _ = cache_of(clock, fresh_s=1.0, ahead=True)
        asked = asyncio.Event()

        async def broken() -> int:
            asked.set()
            raise OSError("nobody is there")

        assert await cache.get(KEY, source.load) == 1
        clock.now += 0.6
        assert await cache.get(KEY, broken) == 1
        await asked.wait()
        assert await cache.get(KEY, source.load) == 1
        clock.now += 0.5
        with pytest.raises(OSError, match="nobody"):
            await cache.get(KEY, broken)


class TestVersions:
    async def test_an_answer_lives_as_long_as_its_version(self) -> None:
        """C2: past half a second the version is asked, and the answer only when that is another."""
        clock, source = Clock(), Source(1)
        cache, _ = cache_of(clock)
        for _ in range(5):
            assert await cache.get(KEY, source.load, source.version) == 1
            clock.now += 3600
        assert (source.reads, source.versions) == (1, 5)
        source.value = 2
        assert await cache.get(KEY, source.load, source.version) == 2
        assert cache.numbers().renewed == 4

    async def test_processes_share_an_answer_of_one_version(self) -> None:
        """C1: what one process asked, another one finds, for that version only."""
        shared, sources = Memory(), [Source(1), Source(1)]
        for source in (*sources, Source(2)):
            cache, caches = cache_of(Clock(), shape=int)
            caches.shared = shared
            assert await cache.get(KEY, source.load, source.version) == source.value
        assert [source.reads for source in sources] == [1, 0]

    async def test_what_another_release_wrote_is_not_read(self) -> None:
        """C1: the shape of a value is part of its name."""
        shared = Memory()
        for shape, reads in ((int, 1), (float, 1), (int, 0)):
            source = Source(1)
            cache, caches = cache_of(Clock(), shape=shape)
            caches.shared = shared
            await cache.get(KEY, source.load, source.version)
            assert source.reads == reads


class TestRoom:
    async def test_nothing_is_remembered_for_a_moment_apart_from_values(self) -> None:
        """C2: that there is nothing is told again without a question, for a quarter of a second; a flood of such
        questions pushes no value out."""
        clock, source = Clock(), Source(1)
        cache, caches = cache_of(clock, absent=(NotFound,), capacity=2)
        asked = 0

        async def missing() -> int:
            nonlocal asked
            asked += 1
            raise NotFound("there is no such number")

        await cache.get(KEY, source.load)
        for number in range(50):
            with pytest.raises(NotFound):
                await cache.get(Key("acme", "number", f"x{number}"), missing)
        raised = []
        for _ in range(2):
            with pytest.raises(NotFound, match="no such number") as failure:
                await cache.get(Key("acme", "number", "x0"), missing)
            raised.append(failure.value)
        assert raised[0] is not raised[1]
        await cache.get(KEY, source.load)
        assert (asked, source.reads, cache.numbers().absent) == (50, 1, 2)
        caches.changes.note("acme")
        clock.now += 0.01
        for wait in (0.24, 0.02):
            with pytest.raises(NotFound):
                await cache.get(Key("acme", "number", "x0"), missing)
            clock.now += wait
        assert asked == 51
        with pytest.raises(NotFound):
            await cache.get(Key("acme", "number", "x0"), missing)
        assert asked == 52

    async def test_entries_and_bytes_are_bounded(self) -> None:
        """C1: what was used longest ago makes room, and what is too big is not kept at all."""
        cache, _ = cache_of(Clock(), capacity=3, max_bytes=100)

        async def read(name: str, size: int) -> None:
            async def load() -> bytes:
                return b"x" * size

            await cache.get(Key("acme", "blob", name), load)

        for name in ("a", "b", "c"):
            await read(name, 20)
        await read("a", 20)
        await read("d", 20)
        assert (cache.numbers().entries, cache.numbers().bytes, cache.numbers().evictions) == (3, 60, 1)
        await read("a", 20)
        assert cache.numbers().hits == 2
        await read("e", 60)
        assert cache.numbers().bytes == 100
        await read("f", 101)
        assert cache.numbers().bytes <= 100
        before = cache.numbers().misses
        await read("f", 101)
        assert cache.numbers().misses == before + 1

    def test_what_never_changes_is_kept_until_there_is_no_room(self) -> None:
        cache, _ = cache_of(Clock(), capacity=1)
        assert cache.known(KEY) is None
        cache.keep(KEY, 1)
        assert cache.known(KEY) == 1
        cache.keep(Key("acme", "number", "n2"), 2)
        assert cache.known(KEY) is None

    async def test_numbers_of_one_name_are_added_up(self) -> None:
        caches = Caches(Clock())
        for _ in range(2):
            cache: Cache[int] = Cache("numbers", caches)
            for _ in range(4):
                await cache.get(KEY, Source(1).load)
        (numbers,) = added([*caches.numbers()])
        assert (numbers.misses, numbers.hits, numbers.entries, numbers.hit_rate) == (2, 6, 2, 0.75)

    def test_who_waits_for_an_answer_was_not_answered_from_memory(self) -> None:
        assert CacheNumbers(name="n", hits=1, renewed=2, shared=3, absent=4, waits=5, misses=5).hit_rate == 0.5
        assert CacheNumbers(name="n").hit_rate is None
