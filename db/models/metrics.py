"""Live figures of forms: sums that are kept as responses change, what each response adds to them, and views."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Integer, LargeBinary
from sqlmodel import Field, SQLModel

from db.models.columns import belongs_to, document, key, moment

_NUMBER = {"autoincrement": False}


class MetricState(SQLModel, table=True):
    """How far the figures of a form are: up to this number of `Response.change`.

    A recount is another `generation` beside the one that is shown, and takes its place when it has come as far. `rules`
    number the way of counting. `sums` are the sum and the sum of squares of each numeric field, as exact decimals;
    `current_at` is when the figures last had everything.
    """

    __tablename__ = "metric_state"
    __table_args__ = (belongs_to("form", "form_id"),)

    tenant_id: str = key()
    form_id: str = key()
    generation: int = key(sa_type=Integer, sa_column_kwargs=_NUMBER)
    change: int = Field(default=0, sa_type=BigInteger)
    rules: int
    is_shown: bool = False
    sums: dict[str, Any] = document()
    current_at: datetime | None = moment(default=None)


class MetricCount(SQLModel, table=True):
    """How often something was counted in the quarter of an hour `moment` (quarters since 1970), or ever."""

    __tablename__ = "metric_count"
    __table_args__ = (belongs_to("form", "form_id"), {"sqlite_with_rowid": False})

    tenant_id: str = key()
    form_id: str = key()
    generation: int = key(sa_type=Integer, sa_column_kwargs=_NUMBER)
    moment: int = key(sa_type=BigInteger, sa_column_kwargs=_NUMBER)
    name: str = key()
    count: int = Field(sa_type=BigInteger)


class MetricPart(SQLModel, table=True):
    """What a response adds to the figures, packed: taken away before what it adds after a change is added."""

    __tablename__ = "metric_part"
    __table_args__ = (belongs_to("form", "form_id"), {"sqlite_with_rowid": False})

    tenant_id: str = key()
    form_id: str = key()
    generation: int = key(sa_type=Integer, sa_column_kwargs=_NUMBER)
    response_id: str = key()
    content: bytes = Field(sa_type=LargeBinary)


class FormView(SQLModel, table=True):
    """How often a form was opened in a quarter of an hour."""

    __tablename__ = "form_view"
    __table_args__ = (belongs_to("form", "form_id"),)

    tenant_id: str = key()
    form_id: str = key()
    moment: int = key(sa_type=BigInteger, sa_column_kwargs=_NUMBER)
    views: int = Field(sa_type=BigInteger)


class ViewHandover(SQLModel, table=True):
    """The number of the last batch of views that an edge handed over: told again it counts no more."""

    __tablename__ = "view_handover"

    tenant_id: str = Field(primary_key=True, sa_column_args=(ForeignKey("tenant.id", ondelete="CASCADE"),))
    edge: str = key()
    number: int = Field(sa_type=BigInteger)
    handed_at: datetime = moment()
