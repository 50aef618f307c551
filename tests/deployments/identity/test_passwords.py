"""U1: argon2id, a few at a time, the same for everybody."""

import asyncio
import threading

import pytest
from argon2 import PasswordHasher, extract_parameters

from deployments.identity.errors import PasswordsBusy
from deployments.identity.passwords import Passwords
from tests.conftest import REAL_HASHER


@pytest.fixture
def passwords(monkeypatch: pytest.MonkeyPatch) -> Passwords:
    monkeypatch.setattr("deployments.identity.passwords._HASHER", REAL_HASHER)
    return Passwords(concurrency=2, waiting=3)


async def test_the_hash_is_argon2id_with_owasp_parameters(passwords: Passwords) -> None:
    hashed = await passwords.hash("correct horse")
    parameters = extract_parameters(hashed)
    assert hashed.startswith("$argon2id$")
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (19 * 1024, 2, 1)
    assert not passwords.is_outdated(hashed)


async def test_only_the_right_password_matches(passwords: Passwords) -> None:
    hashed = await passwords.hash("correct horse")
    assert await passwords.verify(hashed, "correct horse")
    assert not await passwords.verify(hashed, "correct horse ")
    assert not await passwords.verify("not a hash", "correct horse")
    assert not await passwords.verify(None, "correct horse")


async def test_a_password_is_the_same_however_its_accents_are_composed(passwords: Passwords) -> None:
    assert await passwords.verify(await passwords.hash("caf\u00e9 au lait"), "cafe\u0301 au lait")


@pytest.mark.parametrize("password", ["nul\0inside", "\ud800 alone", "\U0001f600" * 256])
async def test_every_text_can_be_a_password(passwords: Passwords, password: str) -> None:
    assert await passwords.verify(await passwords.hash(password), password)


async def test_other_parameters_are_outdated(passwords: Passwords) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash("correct horse")
    assert passwords.is_outdated(old)
    assert await passwords.verify(old, "correct horse")


async def test_hashes_are_bounded_in_number_and_the_rest_is_told_to_come_back(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, release, running, most = threading.Lock(), threading.Event(), 0, 0

    def slow(_hashed: str, _password: str) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        assert release.wait(10)
        with lock:
            running -= 1
        return True

    monkeypatch.setattr("deployments.identity.passwords._matches", slow)
    calls = [asyncio.create_task(passwords.verify("hash", "x")) for _ in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(PasswordsBusy) as caught:
        await passwords.verify("hash", "x")
    assert caught.value.status == 429
    assert caught.value.retry_after == 2.0
    release.set()
    assert await asyncio.gather(*calls) == [True] * 5
    assert most == 2
    assert await passwords.verify("hash", "x")


async def test_a_caller_who_leaves_gives_the_place_back(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr("deployments.identity.passwords._matches", lambda *_: release.wait(10))
    calls = [asyncio.create_task(passwords.verify("hash", "x")) for _ in range(5)]
    await asyncio.sleep(0)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    release.set()
    assert await passwords.verify("hash", "x")
