"""The models behind Serve: what the host computes at once, and what the client makes of what happens on the way."""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import ActorUnavailableError

from deployments.kit.calls import Done, Failed, Outcome
from deployments.kit.errors import DeadlineExceeded, DomainError, Invalid, Unavailable
from deployments.kit.objects import ObjectStore
from deployments.models.contracts import FACULTIES, Embeddings, Entities, Frame, Generated, HeadRef, Judgements, Prompt
from deployments.models.deployment import Models
from deployments.models.errors import HeadDamaged, ModelMissing
from deployments.models.settings import ModelsSettings
from serve_app.models_client import RemoteModels, over_handles
from serve_app.models_host import answer_one, answer_together, warm_up

LONG = ["one", "two", "three"] * 40


class Counting:
    """Models that answer each text with its length, and remember what they were asked at once."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        self.asked.append(("embed", len(texts)))
        return Embeddings(model="m", dimensions=1, vectors=b"".join(bytes([len(text), 0, 0, 0]) for text in texts))

    async def classify(self, head: HeadRef, texts: Sequence[str]) -> Judgements:
        self.asked.append((head.name, len(texts)))
        if head.name == "gone":
            raise ModelMissing("gone")
        rows = tuple((float(len(text)),) for text in texts)
        return Judgements(model=head.name, labels=("length",), threshold=0, scores=rows)

    async def extract(self, texts: Sequence[str], frame: Frame) -> Entities:
        raise ZeroDivisionError

    async def generate(self, prompt: Prompt) -> Generated:
        return Generated(model="m", text=prompt.instruction)


async def test_calls_that_ask_the_same_are_computed_at_once() -> None:
    """A1: batched across tenants; each gets the rows of its own texts, and another's failure stays with it."""
    models = Counting()
    one, gone = HeadRef(name="one"), HeadRef(name="gone")
    outcomes = await answer_together(
        models,
        [
            ("classify", (one, ("a", "bbb"))),
            ("classify", (gone, ("x",))),
            ("classify", (one, ("cc",))),
            ("classify", (one, ())),
        ],
    )
    first, failed, second, none = outcomes
    assert (first.value.scores, second.value.scores, none.value.scores) == (((1.0,), (3.0,)), ((2.0,),), ())
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, ModelMissing)
    assert models.asked == [("one", 3), ("gone", 1)]


async def test_a_defect_leaves_no_detail() -> None:
    frame = Frame(moment="2026-01-01T00:00:00Z")  # type: ignore[arg-type]
    (outcome,) = await answer_together(Counting(), [("extract", (("a",), frame))])
    assert isinstance(outcome, Failed)
    assert type(outcome.error) is DomainError
    assert await answer_one(object(), ("embed", ((),))) is not None


def remote(models: Any, **changes: Any) -> RemoteModels:
    """The client, its calls answered here."""

    async def ask(method: str, arguments: tuple[Any, ...], _timeout_s: float, model: str = "") -> Outcome:
        if model:
            models.asked.append(("multiplexed", HeadRef.model_validate_json(model).key))
        return await answer_one(models, (method, arguments))

    return RemoteModels(dict.fromkeys(("embed", "classify", "extract", "generate"), ask) | changes, 5.0)


async def test_long_calls_travel_in_parts_and_come_back_whole() -> None:
    models = Counting()
    answer = await remote(models).embed(LONG)
    assert answer == await Counting().embed(LONG)
    assert sorted(count for _, count in models.asked) == [24, 32, 32, 32]
    assert (await remote(models).generate(Prompt(instruction="write"))).text == "write"
    await remote(models).classify(HeadRef(name="one", key="acme/heads/x", sha256="00"), ["a"])
    assert ("multiplexed", "acme/heads/x") in models.asked


async def test_a_replica_that_dies_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """To answer twice does no harm."""
    monkeypatch.setattr("serve_app.models_client._RETRY_S", 0.001)
    deaths = iter([True, True])

    async def ask(_method: str, arguments: tuple[Any, ...], _timeout_s: float, model: str = "") -> Outcome:
        if next(deaths, False):
            raise ActorUnavailableError("gone", None)
        return Done(await Counting().embed(*arguments))

    assert (await remote(None, embed=ask).embed(["abc"])).vectors == bytes([3, 0, 0, 0])


async def test_what_is_wrong_is_one_error_of_the_platform() -> None:
    """A1: 503 with Retry-After when nobody can answer in time, and the work is cancelled."""
    cancelled = asyncio.Event()

    async def hangs(*_: Any) -> Outcome:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    async def late(*_: Any) -> Outcome:
        return Failed(DeadlineExceeded())

    async def refuses(*_: Any) -> Outcome:
        return Failed(Invalid("no"))

    for ask, kind in ((hangs, Unavailable), (late, Unavailable), (refuses, Invalid)):
        with pytest.raises(kind) as raised:
            await RemoteModels({"embed": ask}, 0.05).embed(["a"])
        assert kind is Invalid or raised.value.retry_after == 5.0
    assert cancelled.is_set()
    with pytest.raises(Unavailable, match="nobody here can generate"):
        await RemoteModels({}, 1.0).generate(Prompt(instruction="x"))


async def test_who_asks_is_there_before_the_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """A1: the edge is ready first; until the models are placed they are unavailable, and then they are found."""
    placed: list[Handle] = []

    def look_up(application: str, _deployment: str) -> Handle:
        if not placed:
            raise KeyError(application)
        return placed[0]

    monkeypatch.setattr("serve_app.models_client.serve.get_deployment_handle", look_up)
    models = over_handles(dict.fromkeys(FACULTIES, "models"), 5.0)
    with pytest.raises(Unavailable, match="not there yet"):
        await models.embed(["abc"])
    placed.append(Handle())
    assert (await models.embed(["abc"])).vectors == bytes([3, 0, 0, 0])


class Handle:
    """What Serve gives to call a deployment, for models in this process."""

    @property
    def ask(self) -> "Handle":
        return self

    def remote(self, method: str, arguments: tuple[Any, ...], _timeout_s: float) -> "asyncio.Task[Outcome]":
        return asyncio.create_task(answer_one(Counting(), (method, arguments)))


async def test_without_a_registry_models_are_missing_and_warm_all_the_same(tmp_path: Path) -> None:
    models = Models(ModelsSettings(folder=tmp_path))
    await warm_up(models)
    with pytest.raises(ModelMissing):
        await models.embed(["a"])
    embedding, classification, extraction, generation = await models.capabilities()
    assert [each.available for each in (embedding, extraction, generation)] == [False, True, False]
    assert (
        embedding.reason
        == classification.reason
        == "all-MiniLM-L6-v2 is not installed; `formstream models build` makes it"
    )


async def test_a_stored_head_that_was_changed_is_refused(tmp_path: Path) -> None:
    objects = ObjectStore(f"file://{tmp_path}")
    await objects.put("acme/heads/1.onnx", b"not what was registered")
    models = Models(ModelsSettings(folder=tmp_path), objects)
    wrong = HeadRef(name="mine", key="acme/heads/1.onnx", sha256="00" * 32)
    with pytest.raises(HeadDamaged, match="not the one that was stored"):
        await models.classify(wrong, ["a"])
    digest = hashlib.sha256(b"not what was registered").hexdigest()
    with pytest.raises(HeadDamaged, match="is no head"):
        await models.classify(HeadRef(name="mine", key="acme/heads/1.onnx", sha256=digest), ["a"])
    with pytest.raises(ModelMissing):
        await models.classify(HeadRef(name="mine", key="acme/heads/2.onnx", sha256=digest), ["a"])
