"""The door of federation."""

from db.session import Database


class Federation:
    """Logging in with an identity provider (OpenID Connect)."""

    def __init__(self, database: Database) -> None:
        self._database = database
