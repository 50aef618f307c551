"""Usage, export, deletion and erasure of tenants."""

from serve_app.edge.operations import Operation

OPERATIONS: tuple[Operation, ...] = ()
