"""What is handed out of the object store."""

from deployments.kit.contract import Contract


class OpenedFile(Contract):
    """Where a file lies in the object store, and what it is sent as."""

    object: str
    name: str
    size: int
    type: str
    sha256: str
