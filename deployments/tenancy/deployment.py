"""The door of tenancy."""

from db.session import Database


class Tenancy:
    """The life cycle of tenants: usage, export, deletion and erasure."""

    def __init__(self, database: Database) -> None:
        self._database = database
