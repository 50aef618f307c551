"""Accounts: verification, invitations, passwords, sessions."""

from serve_app.edge.operations import Operation

OPERATIONS: tuple[Operation, ...] = ()
