"""A SurveyMonkey CSV file, understood: its form and its responses."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from deployments.imports.decoding import Decoding, decode
from deployments.imports.errors import FileUnreadable
from deployments.imports.inference import Plan, infer
from deployments.imports.layout import Layout, read_layout
from deployments.imports.notices import Notice
from deployments.imports.profile import Profile, read_profile
from deployments.imports.rows import read_rows
from deployments.kit.engine import CompiledForm, InvalidDefinition, compile_form, parse_definition
from deployments.responses.contracts import ImportRow, RejectedRow


@dataclass(frozen=True, slots=True)
class Survey:
    """What is known about a file after it was read through once; `path` is its text, which must stay."""

    path: Path
    decoding: Decoding
    layout: Layout
    profile: Profile
    plan: Plan
    form: CompiledForm

    @property
    def total(self) -> int:
        """How many rows there are, broken ones included."""
        return self.profile.rows + self.profile.broken

    def rows(self) -> Iterator[ImportRow | RejectedRow]:
        """Every response, and every row that is none."""
        return read_rows(self.path, self.layout, self.plan)

    def warnings(self) -> list[Notice]:
        """What its owner should know although everything can be imported."""
        found = decoding_notices(self.decoding)
        if self.plan.key is None:
            detail = "The file has no column RespondentID; responses are recognised by their text."
            found.append(Notice("", "responses.without_id", detail))
        return found

    def details(self) -> dict[str, Any]:
        """How the text was understood."""
        return {
            "encoding": self.decoding.encoding,
            "header_rows": self.layout.header_rows,
            "delimiter": self.layout.dialect.delimiter,
        }


def decoding_notices(decoding: Decoding) -> list[Notice]:
    """What the owner of a text should know of how its bytes were read."""
    found = []
    if not decoding.encoding.startswith("utf"):
        detail = f"The file is not UTF-8; it was read as {decoding.encoding}."
        found.append(Notice("", "file.encoding", detail))
    if decoding.replaced:
        lines = ", ".join(map(str, decoding.lines[:10]))
        detail = f"{decoding.replaced} characters could not be read and were replaced; lines: {lines}."
        found.append(Notice("", "file.replaced", detail))
    return found


def read_survey(file: IO[bytes], folder: Path) -> Survey:
    """Read the file through and infer its form; a copy of its text goes into `folder`.

    Takes time in proportion to the file and a bounded amount of memory. Raises FileUnreadable.
    """
    path = folder / "survey.csv"
    decoding = decode(file, path)
    layout = read_layout(path)
    profile = read_profile(path, layout)
    plan = infer(layout, profile)
    try:
        form = compile_form(parse_definition(plan.definition))
    except InvalidDefinition as error:
        raise FileUnreadable(f"The columns make no form: {error.faults[0].detail}") from error
    return Survey(path, decoding, layout, profile, plan, form)
