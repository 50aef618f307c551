"""A7: models that strangers bring are checked before they may serve, and cannot hurt who serves them."""

import asyncio
import hashlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from deployments.kit.objects import ObjectStore
from deployments.models.brought.archive import unpack
from deployments.models.brought.classifier import Classifier
from deployments.models.brought.errors import Refused
from deployments.models.brought.inspection import inspect
from deployments.models.brought.kept import BroughtModels
from deployments.models.brought.process import BroughtModel
from deployments.models.contracts import HeadRef
from deployments.models.errors import HeadDamaged, ModelFailed, ModelMissing
from tests.deployments.models import brought
from tests.deployments.models.brought import NAMES, files, graph, names, tarred, topics, zipped

MiB = 1 << 20


def _unpacked(tmp_path: Path, archive: bytes) -> Path:
    (tmp_path / "archive").write_bytes(archive)
    folder = tmp_path / "files"
    folder.mkdir()
    unpack(tmp_path / "archive", folder)
    return folder


@pytest.mark.parametrize("archived", [zipped, tarred, lambda f: tarred({f"model/{n}": c for n, c in f.items()}, "w")])
def test_only_what_belongs_to_a_model_is_unpacked(
    tmp_path: Path, archived: Callable[[dict[str, bytes]], bytes]
) -> None:
    folder = _unpacked(tmp_path, archived(files() | {"README.md": b"hello"}))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files()


ARCHIVES = {
    "bomb": (zipped(files() | {"tokenizer.json": bytes(40 * MiB)}), "archive.size"),
    "symlink": (tarred(files() | {"model.onnx": "/etc/passwd"}), "archive.path"),
    "climbing": (zipped(files() | {"../../config.json": b"{}"}), "archive.path"),
    "absolute": (tarred(files() | {"/etc/config.json": b"{}"}), "archive.path"),
    "backslashes": (zipped(files() | {"..\\config.json": b"{}"}), "archive.path"),
    "twice": (zipped(files() | {"again/config.json": b"{}"}), "archive.files"),
    "many": (zipped(files() | {f"{place}.txt": b"" for place in range(80)}), "archive.files"),
    "incomplete": (zipped({"config.json": b"{}"}), "archive.files"),
    "torn": (zipped(files())[:-200], "archive.unreadable"),
    "torn tar": (tarred(files())[:-200], "archive.unreadable"),
    "none": (b"\x7fELF", "archive.unreadable"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_that_wants_more_is_refused(tmp_path: Path, name: str) -> None:
    """A7: bombs, links and names that lead elsewhere; nothing is written outside."""
    archive, code = ARCHIVES[name]
    with pytest.raises(Refused) as refused:
        _unpacked(tmp_path, archive)
    assert refused.value.code == code
    assert {path.name for path in tmp_path.iterdir()} == {"archive", "files"}
    assert sum(path.stat().st_size for path in (tmp_path / "files").iterdir()) <= 33 * MiB


def _with_external_data() -> onnx.ModelProto:
    model = topics()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return model


def _endless() -> onnx.ModelProto:
    """A loop without an end."""
    flag = helper.make_tensor_value_info("go_in", TensorProto.BOOL, [])
    place = helper.make_tensor_value_info("place", TensorProto.INT64, [])
    out = helper.make_tensor_value_info("go_out", TensorProto.BOOL, [])
    body = helper.make_graph([helper.make_node("Identity", ["go_in"], ["go_out"])], "body", [place, flag], [out])
    model = topics()
    model.graph.node.append(helper.make_node("Loop", ["", "always"], [], body=body))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "always"))
    return model


def _hidden_operator() -> onnx.ModelProto:
    """An operator of somebody's own within a branch."""
    inner = helper.make_graph(
        [helper.make_node("Run", [], ["x"], domain="evil")], "b", [], [helper.make_empty_tensor_value_info("x")]
    )
    branch = helper.make_node("If", ["yes"], ["y"], then_branch=inner, else_branch=inner)
    model = topics()
    model.graph.node.append(branch)
    return model


GRAPHS = {
    "external data": (_with_external_data, "graph.external"),
    "endless loop": (_endless, "graph.operators"),
    "custom operator": (_hidden_operator, "graph.operators"),
    "custom domain": (lambda: graph([], domains=("", "com.microsoft")), "graph.operators"),
    "other inputs": (lambda: graph([], inputs=("pixels",)), "graph.inputs"),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_is_refused_before_it_runs(tmp_path: Path, name: str) -> None:
    """A7: data in other files, custom operators also within branches, loops, inputs that nobody gives."""
    make, code = GRAPHS[name]
    (tmp_path / "model.onnx").write_bytes(make().SerializeToString())
    with pytest.raises(Refused) as refused:
        inspect(tmp_path / "model.onnx")
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"config.json": b"[" * 100_000}, "config.unreadable"),
        ({"config.json": b'{"id2label": {"1": "a"}}'}, "config.labels"),
        ({"config.json": b'{"id2label": {"0": "a", "1": "a"}}'}, "config.labels"),
        ({"config.json": brought.config(["a", "b", "c"])}, "graph.outputs"),
        ({"tokenizer.json": b"{}"}, "tokenizer.unreadable"),
        ({"model.onnx": b"no graph"}, "graph.unusable"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, changes: dict[str, bytes], code: str) -> None:
    for name, content in (files() | changes).items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(Refused) as refused:
        Classifier(tmp_path)
    assert refused.value.code == code


def test_tokens_in_a_row_are_one(tmp_path: Path) -> None:
    for name, content in files(names(), NAMES).items():
        (tmp_path / name).write_bytes(content)
    model = Classifier(tmp_path)
    assert model.kind == "token"
    found = model.tags(["👍 Ada in Berlin", "nothing", ""])
    assert [[(tag.label, tag.text, tag.start) for tag in tags] for tags in found] == [
        [("person", "Ada", 2), ("place", "Berlin", 9)],
        [],
        [],
    ]


def _environment(model: BroughtModel) -> list[str]:
    return Path(f"/proc/{model._process.pid}/environ").read_text().split("\0")


async def _stored(tmp_path: Path, archive: bytes) -> tuple[BroughtModels, HeadRef]:
    objects = ObjectStore(f"file://{tmp_path}")
    await objects.put("acme/models/1", archive)
    ref = HeadRef(name="mine", key="acme/models/1", sha256=hashlib.sha256(archive).hexdigest())
    return BroughtModels(objects), ref


async def test_a_good_model_serves_from_its_own_process(tmp_path: Path) -> None:
    """A7: examined, then asked; what it computes it computes elsewhere, without our environment."""
    models, ref = await _stored(tmp_path, zipped(files()))
    examined = await models.examine(ref)
    assert examined.card is not None
    assert (examined.card.kind, examined.card.labels) == ("sequence", brought.TOPICS)
    applied = await models.apply(ref, ["late and broken", "thanks"])
    assert [brought.TOPICS[int(np.argmax(row))] for row in applied.scores] == ["complaint", "praise"]
    (running,) = models._running.values()
    assert not [name for name in _environment(running) if name.startswith("FORMSTREAM")]
    with pytest.raises(HeadDamaged):
        await models.apply(ref.model_copy(update={"sha256": "00" * 32}), ["x"])
    with pytest.raises(ModelMissing):
        await models.apply(ref.model_copy(update={"key": "acme/models/2"}), ["x"])
    await models.close()


async def test_a_tensor_that_is_too_large_ends_only_the_process_of_its_model(tmp_path: Path) -> None:
    """A7: 64 GiB of zeros; the answer is a sentence, and the one who asked lives."""
    nodes = [helper.make_node("ConstantOfShape", ["huge"], ["zeros"]), *topics().graph.node]
    nodes[-1].input[0] = "much"
    nodes.insert(-1, helper.make_node("ReduceSum", ["zeros"], ["total"], keepdims=0))
    nodes.insert(-1, helper.make_node("Add", ["found", "total"], ["much"]))
    constants = {each.name: onnx.numpy_helper.to_array(each) for each in topics().graph.initializer}
    model = graph(nodes, constants | {"huge": np.array([1 << 34], dtype=np.int64)})
    models, ref = await _stored(tmp_path, tarred(files(model)))
    examined = await models.examine(ref)
    assert examined.card is None
    assert examined.problem in ("graph.failed", "graph.unusable", "model.failed")


async def test_a_model_that_does_not_keep_to_its_time_is_ended(tmp_path: Path) -> None:
    """A7: whoever starts it waits as long as is said, whoever asks it too; then the process is gone."""
    archive = tmp_path / "archive"
    archive.write_bytes(zipped(files()))
    with pytest.raises(Refused) as refused:
        await BroughtModel.start(archive, start_s=0.001)
    assert refused.value.code == "model.failed"
    model = await BroughtModel.start(archive)
    with pytest.raises(Refused):
        await model.apply(["late"] * 20_000, answer_s=0.001)
    assert not model.is_running
    with pytest.raises(ProcessLookupError):
        os.kill(model._process.pid, 0)


async def test_who_leaves_while_a_model_starts_does_not_stop_it(tmp_path: Path) -> None:
    """A model that starts slowly would never be there for anybody."""
    models, ref = await _stored(tmp_path, zipped(files()))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await models.apply(ref, ["thanks"])
    (start,) = models._starts.values()
    running = await start
    assert (await models.apply(ref, ["thanks"])).labels == brought.TOPICS
    assert list(models._running.values()) == [running]
    await models.close()
    assert not running.is_running


async def test_whose_process_was_killed_is_started_again(tmp_path: Path) -> None:
    models, ref = await _stored(tmp_path, zipped(files()))
    first = await models.apply(ref, ["thanks"])
    (running,) = models._running.values()
    running._process.kill()
    await running._process.wait()
    assert await models.apply(ref, ["thanks"]) == first
    (running,) = models._running.values()
    os.kill(running._process.pid, signal.SIGSTOP)
    asked = asyncio.create_task(models.apply(ref, ["thanks"]))
    await asyncio.sleep(0.05)
    running._process.kill()
    with pytest.raises(ModelFailed, match="mine failed"):
        await asked
    await models.close()
