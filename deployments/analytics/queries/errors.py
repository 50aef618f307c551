"""What can go wrong with queries."""

from deployments.kit.errors import Conflict, DomainError, NotFound, Unavailable


class QueryNotFound(NotFound):
    code, title = "query.not_found", "There is no such query"


class QueryNameTaken(Conflict):
    code, title = "query.name_taken", "Another query has this name"


class TooManyQueries(Conflict):
    code, title = "query.too_many", "The tenant keeps as many queries as it can"


class QueryTooExpensive(DomainError):
    status, code, title = 422, "query.too_expensive", "The query would read too much"


class TooManyGroups(DomainError):
    status, code, title = 422, "query.too_many_groups", "The query has too many groups"


class TableChanged(Unavailable):
    code, title = "query.table_changed", "The form's table changes again and again"
