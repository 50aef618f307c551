"""A context that runs elsewhere, behind its own Protocol: `await forms.get(principal, form_id)` crosses the wire."""

import inspect
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any, TypeAlias, TypeVar, cast

from deployments.kit.principal import Principal
from serve_app.edge.dispatch import Dispatcher

Api = TypeVar("Api")

DispatcherFor: TypeAlias = Callable[[str], Dispatcher]
"""The dispatcher for calls of a method: short calls that come in great numbers must not share batches with slow ones,
since a batch returns when its slowest call does."""


def remote(
    protocol: type[Api],
    context: str,
    dispatcher_for: DispatcherFor,
    *,
    deadline_s: float = 10.0,
    deadlines_s: dict[str, float] | None = None,
) -> Api:
    """An object with the methods of `protocol`, each of which calls the same method of `context` over its dispatcher.

    Arguments are positional. Fairness is by the tenant of the first argument; calls without a Principal share one
    turn. A call that takes longer than `deadline_s` (or its own entry of `deadlines_s`) raises DeadlineExceeded.
    """
    own = deadlines_s or {}
    methods = {
        name: _method(dispatcher_for(name), context, name, own.get(name, deadline_s))
        for name, _ in inspect.getmembers(protocol, inspect.isfunction)
        if not name.startswith("_")
    }
    return cast(Api, SimpleNamespace(**methods))


def _method(
    dispatcher: Dispatcher, context: str, name: str, deadline_s: float
) -> Callable[..., Coroutine[Any, Any, Any]]:
    def call(*args: Any) -> Coroutine[Any, Any, Any]:
        first = args[0] if args else None
        tenant_id = first.tenant_id if isinstance(first, Principal) else ""
        return dispatcher.call(tenant_id, context, name, args, deadline_s)

    return call
