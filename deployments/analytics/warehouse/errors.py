"""What can be wrong with asking for tables."""

from deployments.kit.errors import DeadlineExceeded, Invalid, NotFound, TooManyRequests, Unavailable


class TableNotFound(NotFound):
    """There is no such form, it was never published, or it is not for the reader."""

    code, title = "table.not_found", "There is no such table"


class StatementRefused(Invalid):
    code, title = "sql.refused", "The statement cannot be carried out"


class StatementTooLong(DeadlineExceeded):
    code, title = "sql.deadline", "The statement took too long"


class TooManyStatements(TooManyRequests):
    code, title = "sql.too_many", "Too many statements of the tenant are running"


class WarehouseBusy(Unavailable):
    code, title = "sql.busy", "Too many statements are running"


class TableBehind(Unavailable):
    """The table is being brought up to date; asked again later, it goes on from where it was."""

    code, title = "table.behind", "The table is being brought up to date"


class TableTooLarge(Unavailable):
    code, title = "table.too_large", "The table does not fit in the place for local copies"
