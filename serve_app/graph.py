"""The applications of the platform, as builders that a Serve configuration names and gives arguments."""

import ray
from pydantic import BaseModel, ConfigDict, Field, field_validator
from ray import serve
from ray.serve import Application

from serve_app.contexts import CONTEXTS
from serve_app.edge_host import EdgeHost
from serve_app.host import ContextHost
from serve_app.settings import Settings
from serve_app.subscriptions import QUEUES, SUBSCRIPTIONS
from serve_app.worker import Worker


class _Args(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ContextArgs(_Args):
    """A deployment `name` that hosts these contexts."""

    name: str
    contexts: tuple[str, ...] = Field(min_length=1)

    @field_validator("contexts")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _known("context", value, CONTEXTS)


class WorkerArgs(_Args):
    """A deployment `name` that runs these subscriptions, and jobs of these queues (jobs at once for each)."""

    name: str
    subscriptions: tuple[str, ...] = ()
    queues: dict[str, int] = Field(default_factory=dict)

    @field_validator("subscriptions")
    @classmethod
    def _subscriptions(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _known("subscription", value, SUBSCRIPTIONS)

    @field_validator("queues")
    @classmethod
    def _queues(cls, value: dict[str, int]) -> dict[str, int]:
        _known("queue", tuple(value), QUEUES)
        return value


class EdgeArgs(_Args):
    """The edge, and the `application` whose deployment of the same name hosts each context."""

    contexts: dict[str, str]

    @field_validator("contexts")
    @classmethod
    def _complete(cls, value: dict[str, str]) -> dict[str, str]:
        _known("context", tuple(value), CONTEXTS)
        if missing := CONTEXTS - set(value):
            raise ValueError(f"the edge is not told where these contexts are: {', '.join(sorted(missing))}")
        return value


def context(args: ContextArgs) -> Application:
    """One deployment with one context or several."""
    return serve.deployment(name=args.name)(ContextHost).bind(_settings(), args.contexts)


def worker(args: WorkerArgs) -> Application:
    """One deployment of event consumers and job runners."""
    return serve.deployment(name=args.name)(Worker).bind(_settings(), args.subscriptions, args.queues)


def edge(args: EdgeArgs) -> Application:
    """The HTTP edge."""
    return serve.deployment(name="edge")(EdgeHost).bind(_settings(), args.contexts)


def _known(kind: str, names: tuple[str, ...], known: frozenset[str]) -> tuple[str, ...]:
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"there is no {kind} {unknown[0]!r}; there are {', '.join(sorted(known))}")
    return names


def _settings() -> Settings:
    settings = Settings()
    settings.secret()
    if settings.database().is_sqlite and ray.is_initialized():
        nodes = sum(node["Alive"] for node in ray.nodes())
        if nodes > 1:
            raise ValueError(f"SQLite is a file of one machine and this cluster has {nodes}: use PostgreSQL")
    return settings
