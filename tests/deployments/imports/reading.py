"""Reads a file as an import does, and compares what would be exported with what the file holds."""

import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.imports.decoding import Decoding, decode
from deployments.imports.inference import Plan, infer
from deployments.imports.layout import Layout, read_layout
from deployments.imports.profile import read_profile
from deployments.imports.rows import read_rows
from deployments.kit.engine import CompiledForm, compile_form, parse_definition
from deployments.responses.contracts import ImportRow, RejectedRow

SHIPPED = Path(__file__).parents[3] / "examples" / "thanksgiving-2015.csv"
SURVEYS = Path(__file__).parents[2] / "fixtures" / "surveys"


@dataclass(frozen=True)
class Reading:
    """What an import makes of a file. `exported` has, for each row, the texts of its cells after the import."""

    decoding: Decoding
    layout: Layout
    plan: Plan
    form: CompiledForm
    rows: list[ImportRow]
    rejected: list[RejectedRow]
    exported: list[Counter[str]]
    cells: list[Counter[str]]

    @property
    def elements(self) -> dict[str, dict[str, Any]]:
        return {element["id"]: element for element in self.plan.definition["pages"][0]["elements"]}

    @property
    def types(self) -> dict[str, str]:
        return {name: element["type"] for name, element in self.elements.items()}

    def answers(self, field_id: str) -> list[Any]:
        return [row.answers.get(field_id) for row in self.rows]

    def labels(self, field_id: str, name: str = "options") -> list[str]:
        return [option["label"] for option in self.elements[field_id][name]]


def decoded(folder: Path, content: bytes) -> tuple[Path, Decoding]:
    path = folder / "decoded.csv"
    return path, decode(io.BytesIO(content), path)


def read(folder: Path, content: bytes | str) -> Reading:
    """The reading of a file; a row whose answers the inferred form refuses fails the test."""
    path, decoding = decoded(folder, content.encode() if isinstance(content, str) else content)
    layout = read_layout(path)
    plan = infer(layout, read_profile(path, layout))
    form = compile_form(parse_definition(plan.definition))
    read_back = list(read_rows(path, layout, plan))
    rows = [row for row in read_back if isinstance(row, ImportRow)]
    exported = []
    for row in rows:
        answers, faults = form.check(row.answers)
        assert not faults
        texts = (column.cell(answers) for column in form.columns)
        exported.append(Counter(text for text in texts if text))
    records = [record.cells for record in layout.rows(path) if not record.problem]
    return Reading(
        decoding=decoding,
        layout=layout,
        plan=plan,
        form=form,
        rows=rows,
        rejected=[row for row in read_back if isinstance(row, RejectedRow)],
        exported=exported,
        cells=[Counter(cell for cell in record if cell.strip()) for record in records],
    )
