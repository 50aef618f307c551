"""Where files lie in the object store."""

from typing import Final

from deployments.kit.objects import object_key

FILES: Final = "files"
PARTS: Final = "uploads"


def final_object(tenant_id: str, file_id: str) -> str:
    """The key of a stored file."""
    return object_key(tenant_id, FILES, file_id)


def parts_folder(tenant_id: str, file_id: str) -> str:
    """The prefix of the pieces of a file that is on its way."""
    return object_key(tenant_id, PARTS, file_id)
