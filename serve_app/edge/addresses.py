"""Which address leads to which handler. The framework takes a good part of a second to work that out for every
operation, and it is the same for all applications: it is done once in a process."""

from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any, NamedTuple

from sanic import Request, Sanic
from sanic.router import Router

from serve_app.edge.answer import Answer

Handler = Callable[..., Coroutine[Any, Any, Answer | None]]


class Address(NamedTuple):
    """`name` tells which of its handlers an application has for it, and `reads_body` whether that reads the body
    itself: after the credential, and up to a limit of its own."""

    template: str
    methods: tuple[str, ...]
    name: str
    reads_body: bool


class Addresses(Router):
    """Serves one application after another, or several at once: its routes ask the request's own for the handler."""

    def finalize(self, *args: Any, **options: Any) -> None:
        """Work out the routes, unless that was done for an application before."""
        if not self.finalized:
            super().finalize(*args, **options)


@cache
def router(addresses: tuple[Address, ...]) -> Addresses:
    """The router of these addresses, for applications whose `ctx.handlers` has a handler for each name."""
    result = Addresses()
    # The framework's own way to describe a route belongs to applications. This one never serves.
    app: Sanic[Any, Any] = Sanic("formstream-addresses", router=result, configure_logging=False)
    Sanic.unregister_app(app)
    for template, methods, name, reads_body in addresses:
        app.route(
            template,
            methods=methods,
            name=name,
            ignore_body=reads_body,
            # Said here, or Sanic reads the handler's source code to find out.
            error_format="json",
        )(_named(name))
    return result


def _named(name: str) -> Handler:
    def handle(request: Request, **path: str) -> Coroutine[Any, Any, Answer | None]:
        handler: Handler = request.app.ctx.handlers[name]
        return handler(request, **path)

    return handle
