"""One-time codes and the second factor."""

from serve_app.edge.operations import Operation

OPERATIONS: tuple[Operation, ...] = ()
