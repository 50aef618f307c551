"""The door of audit."""

from db.session import Database


class Audit:
    """What was done in a tenant, by whom, from where; provably unchanged."""

    def __init__(self, database: Database) -> None:
        self._database = database
