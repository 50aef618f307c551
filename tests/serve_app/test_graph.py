"""The builders that a Serve configuration names: what they bind, and what they refuse."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from deployments.models.contracts import FACULTIES
from serve_app import graph
from serve_app.contexts import CONTEXTS, build_contexts
from serve_app.graph import ContextArgs, EdgeArgs, ModelsArgs, WorkerArgs
from serve_app.settings import Settings
from tests.serve_app.one_process import NOWHERE, SECRET


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FORMSTREAM_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("FORMSTREAM_SECRET_KEY", SECRET)
    monkeypatch.setenv("FORMSTREAM_NATS_URL", NOWHERE)
    monkeypatch.delenv("FORMSTREAM_DATABASE_URL", raising=False)


def bound(application: Any) -> tuple[str, tuple[Any, ...]]:
    """The name of an application's deployment and what its class is built with, the settings aside."""
    deployment = application._bound_deployment
    settings, *rest = deployment.init_args
    assert isinstance(settings, Settings)
    return deployment.name, tuple(rest)


def test_each_builder_names_its_deployment() -> None:
    """D6: which contexts share a process is configuration."""
    homes = dict.fromkeys(CONTEXTS, "core")
    assert bound(graph.context(ContextArgs(name="core", contexts=("forms", "responses")))) == (
        "core",
        (("forms", "responses"), {}),
    )
    assert bound(graph.worker(WorkerArgs(name="workers", subscriptions=("webhooks",), queues={"batch": 2}))) == (
        "workers",
        (("webhooks",), {"batch": 2}, {}),
    )
    assert bound(graph.models(ModelsArgs(name="models", faculties=("embedding",)))) == ("models", (("embedding",),))
    assert bound(graph.edge(EdgeArgs(contexts=homes))) == ("edge", (homes,))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (ContextArgs, {"name": "a-name-of-24-characters-", "contexts": ("forms",)}),
        (ContextArgs, {"name": "core", "contexts": ()}),
        (ContextArgs, {"name": "core", "contexts": ("farms",)}),
        (WorkerArgs, {"name": "workers", "subscriptions": ("mails",)}),
        (WorkerArgs, {"name": "workers", "queues": {"low": 1}}),
        (WorkerArgs, {"name": "workers", "colour": "red"}),
        (ContextArgs, {"name": "core", "contexts": ("forms",), "models": {"embedding": "models"}}),
        (
            ContextArgs,
            {"name": "core", "contexts": ("forms",), "models": dict.fromkeys([*FACULTIES, "sight"], "models")},
        ),
        (ModelsArgs, {"name": "models", "faculties": ()}),
        (ModelsArgs, {"name": "models", "faculties": ("sight",)}),
        (EdgeArgs, {"contexts": {"forms": "core"}}),
        (EdgeArgs, {"contexts": dict.fromkeys([*CONTEXTS, "farms"], "core")}),
    ],
)
def test_a_name_that_nobody_has_is_refused(kind: Any, values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        kind(**values)


def test_nothing_is_built_without_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORMSTREAM_SECRET_KEY", "short")
    with pytest.raises(ValueError, match="FORMSTREAM_SECRET_KEY"):
        graph.context(ContextArgs(name="core", contexts=("forms",)))


def test_sqlite_is_refused_on_a_cluster_of_several_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """D7: a file of one machine."""
    monkeypatch.setattr(graph.ray, "is_initialized", lambda: True)
    nodes = [{"Alive": True}, {"Alive": True}, {"Alive": False}]
    monkeypatch.setattr(graph.ray, "nodes", lambda: nodes)
    with pytest.raises(ValueError, match="this cluster has 2: use PostgreSQL"):
        graph.context(ContextArgs(name="core", contexts=("forms",)))
    monkeypatch.setenv("FORMSTREAM_DATABASE_URL", "postgresql://formstream@db.internal/formstream")
    graph.context(ContextArgs(name="core", contexts=("forms",)))
    monkeypatch.delenv("FORMSTREAM_DATABASE_URL")
    nodes.pop(0)
    graph.context(ContextArgs(name="core", contexts=("forms",)))


async def test_every_context_is_built_by_its_name(sqlite_settings: Any) -> None:
    from db.session import Database

    database = Database(sqlite_settings)
    built = build_contexts(tuple(sorted(CONTEXTS)), database, Settings())
    assert set(built) == CONTEXTS
    with pytest.raises(KeyError):
        build_contexts(("farms",), database, Settings())
    await database.close()
