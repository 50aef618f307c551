"""Who may use a single form."""

from serve_app.edge.operations import Operation

OPERATIONS: tuple[Operation, ...] = ()
