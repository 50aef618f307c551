"""Where the heads of classifiers lie in the object store."""

from db.models.classifiers import Classifier
from deployments.kit.objects import object_key


def folder_of(row: Classifier) -> str:
    """Everything of a classifier is below it: with the files of its form, if it belongs to one, which go with that."""
    if row.form_id is None:
        return object_key(row.tenant_id, "classifiers", row.id)
    return object_key(row.tenant_id, "forms", row.form_id, "classifiers", row.id)
