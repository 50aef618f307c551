"""What can be wrong with a file, or with asking for its import."""

from deployments.kit.errors import Invalid, NotFound


class FileUnreadable(Invalid):
    """The file can never be imported as it is; `detail` says what its owner should look at."""

    code, title = "import.unreadable", "The file cannot be read"


class FormDiffers(Invalid):
    """The name is taken by a form with other questions, so the responses would not fit."""

    code, title = "import.form_differs", "The form has other questions than the file"


class KeyMismatch(Invalid):
    """The idempotency key was used for another import."""

    code, title = "idempotency.mismatch", "The idempotency key was used for another import"


class FileForeign(NotFound):
    """The file is not the tenant's."""

    code, title = "import.file_not_found", "There is no such file"
