"""Giving responses the files that their answers name."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from db.repositories.files import TAKEN, TWICE, UNKNOWN, Attachment, FileClaim, FilesRefused, attach_files
from db.session import UnitOfWork
from deployments.kit.engine import CompiledForm
from deployments.kit.errors import Fault
from deployments.kit.file_fields import FileField, file_fields, named_files
from deployments.responses.errors import InvalidAnswers

_DETAILS: Final = {
    UNKNOWN: "There is no such file for this field; send it first.",
    TAKEN: "Another response has this file.",
    TWICE: "This file is named twice.",
}


def claims(fields: Sequence[FileField], answers: Mapping[str, Any]) -> tuple[FileClaim, ...]:
    """The files that checked answers name."""
    if not fields:
        return ()
    return tuple(FileClaim(file_id, field.id, at) for field, file_id, at in named_files(tuple(fields), answers))


def claims_by(rules: CompiledForm, answers: Mapping[str, Any]) -> tuple[FileClaim, ...]:
    """The same by the rules of a version."""
    return claims(file_fields(rules.definition.document()), answers) if rules.file_fields else ()


async def attach(unit: UnitOfWork, form_id: str, response_id: str, wanted: tuple[FileClaim, ...]) -> None:
    """Give a response its files in the unit's transaction. Raises InvalidAnswers for those that it may not have.

    Before the form's counter is taken: that is the order in which everybody waits.
    """
    if not wanted:
        return
    connection = await unit.session.connection()
    (refusal,) = await connection.run_sync(attach_files, unit.tenant, [Attachment(form_id, response_id, wanted)])
    if refusal is not None:
        raise InvalidAnswers(faults=file_faults(refusal))


def file_faults(refusal: FilesRefused) -> tuple[Fault, ...]:
    """Why, with the place of each file in the answers."""
    return tuple(Fault(claim.pointer, code, _DETAILS[code]) for claim, code in refusal.refused)
