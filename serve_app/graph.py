"""The applications of the platform, as builders that a Serve configuration names and gives arguments.

Serve calls each builder in a process of its own, which ends then. A builder imports what it hosts, and no more.
"""

import ray
from pydantic import BaseModel, ConfigDict, Field, field_validator
from ray import serve
from ray.serve import Application

from deployments.models.contracts import FACULTIES, Faculty
from eventing.job_policy import QUEUES
from serve_app.consumers import CONSUMERS
from serve_app.contexts import CONTEXTS
from serve_app.settings import Settings
from serve_app.sockets.folder import LONGEST_NAME


class _Args(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _AskingArgs(_Args):
    """`models` names the application whose deployment of the same name hosts each faculty; without it the models run
    in the processes that ask them."""

    models: dict[Faculty, str] = Field(default_factory=dict)

    @field_validator("models")
    @classmethod
    def _whole(cls, value: dict[Faculty, str]) -> dict[Faculty, str]:
        if value and (missing := FACULTIES.keys() - value.keys()):
            raise ValueError(f"nobody is told where these faculties are: {', '.join(sorted(missing))}")
        return value


class ContextArgs(_AskingArgs):
    """A deployment `name` that hosts these contexts. It is part of the address of a socket, which is short."""

    name: str = Field(max_length=LONGEST_NAME)
    contexts: tuple[str, ...] = Field(min_length=1)

    @field_validator("contexts")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _known("context", value, CONTEXTS)


class ModelsArgs(_Args):
    """A deployment `name` that hosts these faculties."""

    name: str
    faculties: tuple[Faculty, ...] = Field(min_length=1)


class WorkerArgs(_AskingArgs):
    """A deployment `name` that runs these subscriptions, and jobs of these queues (jobs at once for each)."""

    name: str
    subscriptions: tuple[str, ...] = ()
    queues: dict[str, int] = Field(default_factory=dict)

    @field_validator("subscriptions")
    @classmethod
    def _subscriptions(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _known("subscription", value, frozenset(CONSUMERS))

    @field_validator("queues")
    @classmethod
    def _queues(cls, value: dict[str, int]) -> dict[str, int]:
        _known("queue", tuple(value), frozenset(QUEUES))
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
    from serve_app.host import ContextHost

    return serve.deployment(name=args.name)(ContextHost).bind(_settings(), args.contexts, args.models)


def models(args: ModelsArgs) -> Application:
    """One deployment of models."""
    from serve_app.models_host import ModelsHost

    return serve.deployment(name=args.name)(ModelsHost).bind(_settings(), args.faculties)


def worker(args: WorkerArgs) -> Application:
    """One deployment of event consumers and job runners."""
    from serve_app.worker import Worker

    settings = _settings()
    if settings.job_policy.kinds:
        # Every kind of job is loaded for that.
        from serve_app.subscriptions import check_job_policy

        check_job_policy(settings)
    return serve.deployment(name=args.name)(Worker).bind(settings, args.subscriptions, args.queues, args.models)


def edge(args: EdgeArgs) -> Application:
    """The HTTP edge."""
    from serve_app.edge_host import EdgeHost

    return serve.deployment(name="edge")(EdgeHost).bind(_settings(), args.contexts)


def _known(kind: str, names: tuple[str, ...], known: frozenset[str]) -> tuple[str, ...]:
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"there is no {kind} {unknown[0]!r}; there are {', '.join(sorted(known))}")
    return names


def _settings() -> Settings:
    settings = Settings()
    settings.secret_keys()
    nodes = sum(node["Alive"] for node in ray.nodes()) if ray.is_initialized() else 1
    if nodes > 1 and settings.database().is_sqlite:
        raise ValueError(f"SQLite is a file of one machine and this cluster has {nodes}: use PostgreSQL")
    if nodes > 1 and not settings.secret_key.get_secret_value() and settings.secret_key_file is None:
        raise ValueError(
            f"The secret key is kept on one machine and this cluster has {nodes}: set FORMSTREAM_SECRET_KEY"
        )
    return settings
