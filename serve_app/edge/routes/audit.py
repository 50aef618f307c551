"""The audit trail."""

from serve_app.edge.operations import Operation

OPERATIONS: tuple[Operation, ...] = ()
