"""What a file really is: found out from its bytes, compared with its name and with what the field accepts."""

import re
from fnmatch import fnmatchcase
from typing import IO, Final

from deployments.files.errors import DangerousFile, EmptyFile, TypeDiffers, TypeRefused
from deployments.files.libmagic import media_type
from deployments.files.names import RUNS, ending_of
from deployments.kit.file_fields import FileField

_HEAD_BYTES: Final = 1 << 18

_RUNS: Final = frozenset(
    {
        *("text/html", "application/xhtml+xml", "application/javascript", "text/javascript", "text/x-php"),
        *("text/x-shellscript", "text/x-msdos-batch", "application/x-dosexec", "application/x-msi"),
        *("application/vnd.microsoft.portable-executable", "application/x-executable", "application/x-pie-executable"),
        *("application/x-sharedlib", "application/x-object", "application/x-mach-binary", "application/x-java-applet"),
        *("application/x-ms-shortcut", "application/java-archive", "application/vnd.android.package-archive"),
        *("application/x-iso9660-image", "application/vnd.debian.binary-package", "application/x-rpm"),
    }
)
_RUNS_BEGIN: Final = (
    b"MZ",
    b"\x7fELF",
    b"#!",
    b"\xfe\xed\xfa",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"L\0\0\0\x01\x14\x02\0",
)

_TEXT_BYTES: Final = bytes({9, 10, 12, 13, *range(32, 127), *range(128, 256)})
_TEXT: Final = ("text/*", "application/json", "application/x-ndjson", "application/csv", "message/*")
_ZIP: Final = ("application/zip", "application/octet-stream")
_OLD_OFFICE: Final = ("application/CDFV2", "application/x-ole-storage", "application/vnd.ms-*", "application/msword")
_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
_OPEN: Final = "application/vnd.oasis.opendocument."

# Ending: its media type, and what libmagic may call such a file besides.
_TYPES: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    **dict.fromkeys(("jpg", "jpeg", "jfif"), ("image/jpeg", ())),
    "png": ("image/png", ()),
    "gif": ("image/gif", ()),
    "webp": ("image/webp", ()),
    "bmp": ("image/bmp", ("image/x-ms-bmp",)),
    **dict.fromkeys(("tif", "tiff"), ("image/tiff", ())),
    "avif": ("image/avif", ()),
    **dict.fromkeys(("heic", "heif"), ("image/heic", ("image/heif",))),
    "svg": ("image/svg+xml", ("text/xml", "text/plain")),
    "pdf": ("application/pdf", ()),
    **dict.fromkeys(("txt", "log", "text"), ("text/plain", _TEXT)),
    "csv": ("text/csv", _TEXT),
    "tsv": ("text/tab-separated-values", _TEXT),
    "md": ("text/markdown", _TEXT),
    "json": ("application/json", _TEXT),
    "jsonl": ("application/x-ndjson", _TEXT),
    "geojson": ("application/geo+json", _TEXT),
    "xml": ("application/xml", _TEXT),
    "ics": ("text/calendar", _TEXT),
    "vcf": ("text/vcard", _TEXT),
    "eml": ("message/rfc822", _TEXT),
    "rtf": ("application/rtf", ("text/rtf",)),
    "docx": (f"{_OFFICE}wordprocessingml.document", _ZIP),
    "xlsx": (f"{_OFFICE}spreadsheetml.sheet", _ZIP),
    "pptx": (f"{_OFFICE}presentationml.presentation", _ZIP),
    "odt": (f"{_OPEN}text", _ZIP),
    "ods": (f"{_OPEN}spreadsheet", _ZIP),
    "odp": (f"{_OPEN}presentation", _ZIP),
    "epub": ("application/epub+zip", _ZIP),
    "doc": ("application/msword", _OLD_OFFICE),
    "xls": ("application/vnd.ms-excel", _OLD_OFFICE),
    "ppt": ("application/vnd.ms-powerpoint", _OLD_OFFICE),
    "zip": ("application/zip", ("application/octet-stream",)),
    "gz": ("application/gzip", ("application/x-gzip",)),
    "7z": ("application/x-7z-compressed", ()),
    "mp3": ("audio/mpeg", ("application/octet-stream",)),
    "m4a": ("audio/mp4", ("audio/x-m4a", "video/mp4")),
    "wav": ("audio/wav", ("audio/x-wav",)),
    "ogg": ("audio/ogg", ("application/ogg", "video/ogg")),
    "opus": ("audio/ogg", ("application/ogg",)),
    "flac": ("audio/flac", ("audio/x-flac",)),
    "mp4": ("video/mp4", ("video/x-m4v",)),
    "mov": ("video/quicktime", ("video/mp4",)),
    "webm": ("video/webm", ("audio/webm", "video/x-matroska")),
    "avi": ("video/x-msvideo", ()),
}
# Bytes that say nothing about themselves are no evidence for these.
_BEGIN: Final[dict[str, tuple[bytes, ...]]] = {
    **dict.fromkeys(("docx", "xlsx", "pptx", "odt", "ods", "odp", "epub", "zip"), (b"PK\x03\x04", b"PK\x05\x06")),
    "mp3": (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"),
}
_CANONICAL: Final = {
    found: kind for kind, others in _TYPES.values() for found in others if kind.partition("/")[0] == "image"
}

# What acts in a drawing. A character reference could spell any of it.
_ACTIVE: Final = re.compile(
    rb"<\s*(?:\w+:)?(?:script|foreignobject|iframe|embed|object|handler|set|animate\w*)\b|[\s/\"']on\w+\s*=|javascript:|<!entity"
    rb"|<!doctype|<\?xml-stylesheet|&#|@import|href\s*=\s*+[\"']?+\s*+(?!#)|url\(\s*+[\"']?+\s*+(?!#)|expression\(",
    re.IGNORECASE,
)


def type_of(file: IO[bytes], name: str) -> str:
    """The media type of a file at its start. Raises EmptyFile, DangerousFile, TypeDiffers."""
    head = file.read(_HEAD_BYTES)
    if not head:
        raise EmptyFile.because("The file is empty.")
    ending = ending_of(name)
    found = media_type(head)
    if found == "application/octet-stream" and not head.translate(None, _TEXT_BYTES):
        found = "text/plain"  # too short for libmagic to call it a text
    if ending in RUNS or found in _RUNS or head.startswith(_RUNS_BEGIN):
        raise DangerousFile.because("Programs, scripts and web pages are not accepted.")
    if ending == "svg" or found == "image/svg+xml" or (found in ("text/xml", "text/plain") and b"<svg" in head.lower()):
        return _drawing(head, file, found, ending)
    kind, others = _TYPES.get(ending, ("", ()))
    if not kind:
        return _CANONICAL.get(found, found)
    begins = _BEGIN.get(ending)
    if found != kind and not any(fnmatchcase(found, other) for other in others):
        raise TypeDiffers.because(f"The name says {kind}, the content is {found}.")
    if begins is not None and not head.startswith(begins):
        raise TypeDiffers.because(f"The name says {kind}, the content is not.")
    return kind


def require_accepted(field: FileField, kind: str) -> None:
    """Raise TypeRefused unless the field takes files of the type."""
    if field.accept and not any(fnmatchcase(kind, accepted) for accepted in field.accept):
        raise TypeRefused.because(f"The file is {kind}; the field takes {', '.join(field.accept)}.")


def _drawing(head: bytes, file: IO[bytes], found: str, ending: str) -> str:
    if ending not in ("svg", ""):
        raise TypeDiffers.because("The content is image/svg+xml, the name says something else.")
    if found not in ("image/svg+xml", "text/xml", "text/plain"):
        raise TypeDiffers.because(f"The name says image/svg+xml, the content is {found}.")
    content = head + file.read()
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        raise DangerousFile.because("Drawings must be UTF-8.") from None
    if _ACTIVE.search(content):
        raise DangerousFile.because("Drawings with scripts, links or styles from elsewhere are not accepted.")
    return "image/svg+xml"
