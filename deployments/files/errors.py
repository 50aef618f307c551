"""What can be wrong with a file, or with asking for one."""

from deployments.kit.errors import (
    Conflict,
    DomainError,
    Invalid,
    NotFound,
    PayloadTooLarge,
    TooManyRequests,
    Unavailable,
)


class FormNotFound(NotFound):
    code, title = "form.not_found", "There is no such form"


class ResponseNotFound(NotFound):
    code, title = "response.not_found", "There is no such response"


class FileNotFound(NotFound):
    code, title = "file.not_found", "There is no such file"


class UploadNotFound(NotFound):
    """There is none, it has ended, or its address is not right."""

    code, title = "upload.not_found", "There is no such upload"


class FormClosed(DomainError):
    status, code, title = 403, "form.closed", "The form takes no answers at the moment"


class UploadConflict(Conflict):
    """The piece does not begin where the upload stands."""

    code, title = "upload.offset", "The piece does not begin where the upload stands"


class FileTooLarge(PayloadTooLarge):
    code, title = "file.too_large", "The file is larger than the field allows"


class TooManyUploads(TooManyRequests):
    code, title = "file.too_many", "Too many files were sent from this address"


class FileRefused(Invalid):
    """The file itself is not taken. Each subclass says why, in the same fault at `/file`."""

    code, title = "file.refused", "The file is not accepted"

    @classmethod
    def because(cls, detail: str) -> "FileRefused":
        """The refusal with its fault."""
        return cls.at("/file", cls.code, detail)


class TypeRefused(FileRefused):
    code, title = "file.type", "The field does not accept files of this type"


class TypeDiffers(FileRefused):
    code, title = "file.type_differs", "The file is not what its name says"


class DangerousFile(FileRefused):
    code, title = "file.dangerous", "Files that run or act when they are opened are not accepted"


class ImageUnreadable(FileRefused):
    code, title = "file.image_unreadable", "The image cannot be read"


class ImageTooLarge(FileRefused):
    code, title = "file.image_too_large", "The image has too many pixels"


class Infected(FileRefused):
    code, title = "file.infected", "The file contains malware"


class EmptyFile(FileRefused):
    code, title = "length.min", "The file is empty"


class ScannerUnavailable(Unavailable):
    code, title = "file.scanner_unavailable", "Files cannot be checked for malware at the moment"
