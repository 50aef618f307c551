"""Logging in with an identity provider."""

from serve_app.edge.operations import Operation

OPERATIONS: tuple[Operation, ...] = ()
