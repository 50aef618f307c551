"""The index of answers: what a query looks up instead of reading every response. Made in the background."""

from sqlalchemy import BigInteger, Index, Text
from sqlmodel import Field, SQLModel

from db.models.columns import belongs_to, key

# By code point on both dialects, as the cursors compare.
_CODE_POINTS = Text().with_variant(Text(collation="C"), "postgresql")


class AnswerIndex(SQLModel, table=True):
    """How far the responses of a form are in the index: up to this number of `Response.change`.

    `rules` names what was looked for in the answers, so that an index made by other rules is not trusted.
    """

    __tablename__ = "answer_index"
    __table_args__ = (belongs_to("form", "form_id"),)

    tenant_id: str = key()
    form_id: str = key()
    change: int = Field(default=0, sa_type=BigInteger)
    rules: str = ""


class AnswerEntry(SQLModel, table=True):
    """One value of one response. `series` names form, field and kind (see `db.repositories.answer_values`).

    `moment` is the time of submission in microseconds since 1970: the entries of one value are in the order of a list.
    The entries of a response go with it by a trigger: a foreign key would be checked for each of them.
    """

    __tablename__ = "answer_entry"
    __table_args__ = (
        Index("ix_answer_entry_response", "tenant_id", "response_id"),
        {"sqlite_with_rowid": False},
    )

    tenant_id: str = key()
    series: int = key(sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    value: str = key(sa_type=_CODE_POINTS)
    moment: int = key(sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    response_id: str = key()
