"""What can go wrong with the database, as the other rooms see it."""


class DatabaseError(Exception):
    """The database could not be used; the message says what to do."""


class DatabaseUnavailable(DatabaseError):
    """The database did not answer in time or refused the connection; try again."""


class QueryTimeout(DatabaseError):
    """A query took longer than it may."""
