"""Files: any, images, and a signature. The answer is a list of the ids of files that were uploaded before."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field as Attribute
from pydantic import Strict, StringConstraints

from deployments.kit.engine.columns import LABELLED, Answers, Column, Style, list_column
from deployments.kit.engine.expressions.types import TEXT, list_of
from deployments.kit.engine.fields.field import Field, Validator
from deployments.kit.errors import Fault

MAX_FILES: Final = 50
MAX_SIZE: Final = 5 * 1024**3
DEFAULT_SIZE: Final = 10 * 1024**2
_FILE_ID: Final = re.compile(r"fil_[0-9a-f]{32}")

MediaRange = Annotated[str, StringConstraints(pattern=r"^[a-z]+/(\*|[a-z0-9][a-z0-9.+-]{0,99})$")]
MediaRanges = Annotated[tuple[MediaRange, ...], Strict(False), Attribute(max_length=50)]


@dataclass(frozen=True, slots=True)
class FileRules:
    """What a field allows: how many files, how many bytes each, and which media types (`image/*`; none: all)."""

    type: str
    max_files: int
    max_size: int
    accept: tuple[str, ...]


class UploadField(Field):
    """What the types of files share. `accept` names media types, a whole family as `image/*`."""

    value_type: ClassVar[str] = list_of(TEXT)
    max_size: int = Attribute(default=DEFAULT_SIZE, ge=1, le=MAX_SIZE)
    """Most bytes of each file."""
    accept: MediaRanges = ()
    """Media types that are taken, a family as `image/*`; all when empty."""

    @property
    def most(self) -> int:
        """How many files an answer may name."""
        return 1

    def rules(self) -> FileRules:
        """What this field allows."""
        return FileRules(self.type, self.most, self.max_size, self.accept)

    def compile(self) -> Validator:
        most = self.most
        bad_type = self.fault("type", "This must be a list of the ids of files.")
        too_many = self.fault("files.max", f"At most {most} files.", max=most)

        def check(raw: Any, faults: list[Fault]) -> list[str] | None:
            if type(raw) is not list:
                faults.append(bad_type)
                return None
            if len(raw) > most:
                faults.append(too_many)
                return None
            seen: set[str] = set()
            for index, item in enumerate(raw):
                if type(item) is not str or _FILE_ID.fullmatch(item) is None:
                    faults.append(self.fault("format.file", "This is no id of a file.", index))
                elif item in seen:
                    faults.append(self.fault("file.duplicate", "This file is named twice.", index))
                else:
                    seen.add(item)
            return list(raw) if raw and len(seen) == len(raw) else None

        return check

    def export_columns(self, style: Style = LABELLED) -> tuple[Column, ...]:
        field_id, told = self.id, style.file_address.format

        def items(answers: Answers) -> list[str]:
            value = answers.get(field_id)
            return [told(file_id) for file_id in value] if type(value) is list else []

        if style.lists:
            return (list_column(field_id, self.title, field_id, items),)

        def cell(answers: Answers) -> str:
            return " ".join(items(answers))

        return (Column(field_id, self.title, field_id, cell),)


class SeveralField(UploadField):
    """What files and images share."""

    max_files: int = Attribute(default=1, ge=1, le=MAX_FILES)
    """Most files of an answer."""

    @property
    def most(self) -> int:
        return self.max_files


class FileField(SeveralField):
    """Files of any type, or of those that `accept` names."""

    type: Literal["file"]


class ImageField(SeveralField):
    """Images."""

    type: Literal["image"]
    accept: MediaRanges = ("image/*",)
    """Types of images that are taken."""

    def faults(self) -> Iterator[Fault]:
        yield from _images_only(self.accept)


class SignatureField(UploadField):
    """A signature: exactly one image."""

    type: Literal["signature"]
    accept: MediaRanges = ("image/png",)
    """Types of images that are taken."""

    def faults(self) -> Iterator[Fault]:
        yield from _images_only(self.accept)


def _images_only(accept: tuple[str, ...]) -> Iterator[Fault]:
    for index, media in enumerate(accept):
        if not media.startswith("image/"):
            yield Fault(f"/accept/{index}", "definition.bad_text", "Only images are accepted here.")


TYPES = (FileField, ImageField, SignatureField)
