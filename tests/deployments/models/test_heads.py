"""A2, A6: heads by reference: from the store, checked, kept while there is room."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deployments.models.contracts import HeadRef
from deployments.models.deployment import Models
from deployments.models.errors import HeadDamaged, HeadOutdated, ModelMissing
from deployments.models.heads.head import Head
from deployments.models.heads.judging import judged
from deployments.models.heads.store import Heads
from deployments.models.heads.training import learn
from deployments.models.settings import ModelsSettings
from tests.deployments.models.test_learning import clouds, lesson


class Files:
    """A store that counts what is read."""

    def __init__(self, **content: bytes) -> None:
        self.content = content
        self.reads: list[str] = []

    async def read(self, key: str) -> AsyncIterator[bytes]:
        self.reads.append(key)
        if key not in self.content:
            raise FileNotFoundError(key)
        for start in range(0, len(self.content[key]), 1000):
            yield self.content[key][start : start + 1000]


@pytest.fixture(scope="module")
def file() -> bytes:
    vectors, places, centres = clouds(4)
    return learn(lesson(places), vectors, centres, "an-encoder@1-int8").file


def ref(key: str, file: bytes) -> HeadRef:
    return HeadRef(name=key, key=key, sha256=hashlib.sha256(file).hexdigest())


async def test_one_flipped_bit_is_refused(file: bytes) -> None:
    """Whatever a damaged head says would be worth nothing."""
    damaged = bytearray(file)
    damaged[len(file) // 2] ^= 1
    heads = Heads(Files(a=bytes(damaged), b=b"no head at all"))
    with pytest.raises(HeadDamaged, match="not the one that was stored"):
        await heads.get(ref("a", file))
    with pytest.raises(HeadDamaged, match="is no head"):
        await heads.get(ref("b", b"no head at all"))
    with pytest.raises(ModelMissing):
        await heads.get(ref("c", file))


async def test_heads_are_kept_while_there_is_room(file: bytes) -> None:
    files = Files(a=file, b=file, c=file)
    heads = Heads(files, most_bytes=2 * len(file))
    for key in "abacab":
        await heads.get(ref(key, file))
    assert files.reads == ["a", "b", "c", "b"]  # b was not asked for longest when c came


async def test_built_in_heads_go_by_a_name_and_nothing_else(models_folder: Path) -> None:
    models = Models(ModelsSettings(folder=models_folder))
    for name in ("no_such", "../head", "", "builtin/x"):
        with pytest.raises(ModelMissing):
            await models.classify(HeadRef(name=name), ["a"])


def test_a_head_of_another_encoder_is_refused(file: bytes) -> None:
    """Precision may change, since the vectors agree; another version of the model may not."""
    head, (vectors, _, _) = Head(file), clouds(1)
    assert judged(head, ["a"], vectors[:1], "an-encoder@1-fp32").scores
    with pytest.raises(HeadOutdated):
        judged(head, ["a"], vectors[:1], "an-encoder@2-int8")
