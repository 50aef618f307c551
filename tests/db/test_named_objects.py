"""O4: what rows name of the object store is known to a backup."""

from db.models import SQLModel
from db.repositories.named_objects import KEY_COLUMNS

_OTHERWISE = {
    ("file_part", "object"): "a file on its way: its sender begins again",
    ("tenant_export_part", "file"): "made anew by the job",
    ("stored_object", "file"): "counts those of the others",
}


def test_every_column_with_the_key_of_an_object_is_asked() -> None:
    """A column of this name that a backup does not know would let it be incomplete without a word."""
    found = {
        (table.name, column.name)
        for table in SQLModel.metadata.tables.values()
        for column in table.columns
        if column.name in ("file", "object")
    }
    assert found == {(model.__tablename__, column) for model, column, _ in KEY_COLUMNS} | set(_OTHERWISE)
