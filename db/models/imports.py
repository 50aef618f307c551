"""Files brought in from other systems."""

from datetime import datetime

from sqlmodel import SQLModel

from db.models.columns import key, moment


class ImportedRow(SQLModel, table=True):
    """A row of a source that is in already: importing the same file again adds nothing."""

    __tablename__ = "imported_row"

    tenant_id: str = key()
    form_id: str = key()
    row_key: str = key()
    response_id: str
    imported_at: datetime = moment()
