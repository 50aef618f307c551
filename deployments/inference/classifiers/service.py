"""The rules of classifiers: their labels, what they learn from, which version answers."""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy.exc import IntegrityError

from db.models.classifiers import Classifier, ClassifierExample, ClassifierVersion
from db.repositories.classifiers import ClassifierRepository
from db.repositories.forms import FormRepository
from db.repositories.responses import ResponseRepository
from db.repositories.tenants import TenantRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.inference import classify_contracts as contracts
from deployments.inference.classifiers.places import folder_of
from deployments.inference.classify_contracts import (
    MAX_EXAMPLES,
    AddedExamples,
    ClassifierChange,
    Corrected,
    Correction,
    LabelState,
    NewClassifier,
    NewExamples,
)
from deployments.inference.contracts import TRAIN
from deployments.inference.errors import (
    ClassifierNameTaken,
    ClassifierNotFound,
    ClassifierUntrained,
    ClassifierVersionNotFound,
    ExampleNotFound,
    InvalidClassifier,
    TooManyClassifiers,
)
from deployments.kit.errors import Fault
from deployments.kit.principal import Principal
from deployments.models.contracts import HeadRef, HeadReport
from eventing.events import classifiers as facts
from eventing.events.envelope import EventData
from eventing.jobs import JobSpec, enqueue
from eventing.outbox import record

READ: Final = "ai:use"
WRITE: Final = "ai:write"
REMOVE: Final = "classifiers.remove"
TRAIN_QUEUE: Final = "batch"
MAX_CLASSIFIERS: Final = 100
MAX_VERSIONS: Final = 20
"""Kept of a classifier, beside the one that answers."""

_RESPONSES: Final = "responses:read"


def classifiers_of(unit: UnitOfWork) -> ClassifierRepository:
    return ClassifierRepository(unit.session, unit.tenant)


async def find(
    unit: UnitOfWork, principal: Principal, classifier_id: str, permission: str = READ, *, for_update: bool = False
) -> Classifier:
    """The classifier. Raises ClassifierNotFound, Forbidden."""
    principal.require(permission)
    row = await classifiers_of(unit).find(classifier_id, for_update=for_update)
    if row is None:
        raise ClassifierNotFound
    return row


async def create(unit: UnitOfWork, principal: Principal, new: NewClassifier) -> Classifier:
    """Store a classifier with its examples. Raises InvalidClassifier, ClassifierNameTaken, TooManyClassifiers."""
    principal.require(WRITE)
    faults = [*_twice([label.name for label in new.labels]), *_examples_twice(new)]
    if new.form_id is None and new.field is not None:
        faults.append(Fault("/field", "classifier.no_form", "a field is one of a form"))
    form = None if new.form_id is None else await FormRepository(unit.session, unit.tenant).find(new.form_id)
    if new.form_id is not None and (form is None or not principal.may(_RESPONSES, new.form_id)):
        faults.append(Fault("/form_id", "form.unknown", "there is no such form"))
    if sum(len(label.examples) for label in new.labels) > MAX_EXAMPLES:
        faults.append(Fault("/labels", "length.max", f"a classifier has at most {MAX_EXAMPLES} examples"))
    if faults:
        raise InvalidClassifier(faults=tuple(faults))
    repository = classifiers_of(unit)
    # So that nobody else counts at the same time.
    await TenantRepository(unit.session, unit.tenant).get_locked()
    if await repository.count() >= MAX_CLASSIFIERS:
        raise TooManyClassifiers(f"a tenant can have {MAX_CLASSIFIERS} classifiers")
    now = utc_now()
    row = Classifier(
        tenant_id=unit.tenant,
        id=new_id("cls"),
        name=new.name,
        form_id=new.form_id,
        field=new.field,
        labels=[label.model_dump(include={"name", "description"}) for label in new.labels],
        precision=new.precision,
        retrain_after=new.retrain_after,
        created_by=principal.subject,
        created_at=now,
        updated_at=now,
    )
    repository.add(row)
    await _named(unit)
    texts = [(text, label.name) for label in new.labels for text in label.examples]
    await repository.put_examples([_example(row, text, label, principal) for text, label in texts])
    names = [label.name for label in new.labels]
    _tell(unit, principal, facts.ClassifierCreated(classifier_id=row.id, name=row.name, labels=names))
    return row


async def change(unit: UnitOfWork, principal: Principal, classifier_id: str, wanted: ClassifierChange) -> Classifier:
    """Change what is given. Raises ClassifierNotFound, InvalidClassifier, ClassifierNameTaken."""
    row = await find(unit, principal, classifier_id, WRITE, for_update=True)
    if wanted.labels is not None:
        names = [label.name for label in wanted.labels]
        if faults := _twice(names):
            raise InvalidClassifier(faults=tuple(faults))
        row.labels = [label.model_dump() for label in wanted.labels]
        await classifiers_of(unit).remove_labels(row.id, names)
    row.name = wanted.name or row.name
    row.precision = wanted.precision or row.precision
    if wanted.retrain_after is not None:
        row.retrain_after = wanted.retrain_after or None
    row.updated_at = utc_now()
    await _named(unit)
    changed = sorted(wanted.model_dump(exclude_none=True))
    if changed:
        _tell(unit, principal, facts.ClassifierUpdated(classifier_id=row.id, changed=changed))
    return row


async def delete(unit: UnitOfWork, principal: Principal, classifier_id: str) -> None:
    """Forget it, with everything that it has. Raises ClassifierNotFound."""
    row = await find(unit, principal, classifier_id, WRITE, for_update=True)
    await enqueue(unit, JobSpec(REMOVE, {"folder": folder_of(row)}, principal.subject))
    _tell(unit, principal, facts.ClassifierDeleted(classifier_id=row.id, name=row.name))
    await classifiers_of(unit).delete(row)


async def add_examples(unit: UnitOfWork, principal: Principal, classifier_id: str, new: NewExamples) -> AddedExamples:
    """Store examples; what is said twice has the last label. Raises ClassifierNotFound, InvalidClassifier."""
    row = await find(unit, principal, classifier_id, WRITE, for_update=True)
    names = _names(row)
    faults = [
        _unknown(f"/examples/{number}/label", each.label)
        for number, each in enumerate(new.examples)
        if each.label not in names
    ]
    if faults:
        raise InvalidClassifier(faults=tuple(faults))
    repository = classifiers_of(unit)
    rows = {digest_of(each.text): _example(row, each.text, each.label, principal) for each in new.examples}
    await repository.put_examples(list(rows.values()))
    count = await _counted(unit, row)
    row.updated_at = utc_now()
    _tell(unit, principal, facts.ClassifierUpdated(classifier_id=row.id, changed=["examples"]))
    return AddedExamples(examples=count)


async def remove_example(unit: UnitOfWork, principal: Principal, classifier_id: str, example_id: str) -> None:
    """Forget an example. Raises ClassifierNotFound, ExampleNotFound."""
    row = await find(unit, principal, classifier_id, WRITE, for_update=True)
    if not await classifiers_of(unit).remove_example(row.id, example_id):
        raise ExampleNotFound
    _tell(unit, principal, facts.ClassifierUpdated(classifier_id=row.id, changed=["examples"]))


async def correct(unit: UnitOfWork, principal: Principal, classifier_id: str, said: Correction) -> Corrected:
    """Keep the right label of a text as an example; after so many as the classifier says, train it.

    Raises ClassifierNotFound, InvalidClassifier.
    """
    row = await find(unit, principal, classifier_id, WRITE, for_update=True)
    faults = [] if said.label in _names(row) else [_unknown("/label", said.label)]
    if said.response_id is not None and not await _may_read(unit, principal, said.response_id):
        faults.append(Fault("/response_id", "response.unknown", "there is no such response"))
    if faults:
        raise InvalidClassifier(faults=tuple(faults))
    repository = classifiers_of(unit)
    example = _example(row, said.text, said.label, principal, is_correction=True, response_id=said.response_id)
    await repository.put_examples([example])
    await _counted(unit, row)
    stored = await repository.find_example(row.id, example["digest"])
    example_id = example["id"] if stored is None else stored.id
    row.pending += 1
    job_id = None
    if row.retrain_after is not None and row.pending >= row.retrain_after:
        job_id = await order(unit, row, principal.subject)
    fact = facts.ClassifierCorrected(
        classifier_id=row.id, example_id=example_id, label=said.label, response_id=said.response_id
    )
    _tell(unit, principal, fact)
    return Corrected(example_id=example_id, corrections=row.pending, job_id=job_id)


async def order(unit: UnitOfWork, row: Classifier, by: str) -> str:
    """The job that trains the next version; the one that waits or runs for that already, if there is."""
    key = f"{TRAIN}:{row.id}:{row.latest}"
    payload = {"classifier_id": row.id}
    return await enqueue(unit, JobSpec(TRAIN, payload, by, active_key=key, queue=TRAIN_QUEUE))


async def version(unit: UnitOfWork, row: Classifier, number: int) -> ClassifierVersion:
    """A version. Raises ClassifierVersionNotFound."""
    found = await classifiers_of(unit).version(row.id, number)
    if found is None:
        raise ClassifierVersionNotFound
    return found


async def activate(unit: UnitOfWork, principal: Principal, classifier_id: str, number: int) -> Classifier:
    """Let another version answer. Raises ClassifierNotFound, ClassifierVersionNotFound."""
    row = await find(unit, principal, classifier_id, WRITE, for_update=True)
    await version(unit, row, number)
    if row.active != number:
        row.active, row.updated_at = number, utc_now()
        _tell(unit, principal, facts.ClassifierActivated(classifier_id=row.id, classifier_version=number))
    return row


async def head_of(unit: UnitOfWork, row: Classifier) -> HeadRef:
    """The head that answers. Raises ClassifierUntrained."""
    active = None if row.active is None else await classifiers_of(unit).version(row.id, row.active)
    if active is None:
        raise ClassifierUntrained
    return HeadRef(name=row.id, key=active.file, sha256=active.sha256)


def digest_of(text: str) -> str:
    """What two examples with the same text have in common."""
    return hashlib.sha256(text.strip().encode()).hexdigest()


async def shown(unit: UnitOfWork, row: Classifier) -> contracts.Classifier:
    counts = await classifiers_of(unit).count_examples(row.id)
    return contracts.Classifier(
        id=row.id,
        name=row.name,
        form_id=row.form_id,
        field=row.field,
        labels=[
            LabelState(name=label["name"], description=label["description"], examples=counts.get(label["name"], 0))
            for label in row.labels
        ],
        precision=row.precision,
        retrain_after=row.retrain_after,
        active_version=row.active,
        latest_version=row.latest or None,
        corrections=row.pending,
        created_by=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def to_example(row: ClassifierExample) -> contracts.Example:
    return contracts.Example(**row.model_dump(exclude={"tenant_id", "classifier_id", "digest"}))


def to_version(row: ClassifierVersion, active: int | None) -> contracts.ClassifierVersion:
    return contracts.ClassifierVersion(**_version(row, active))


def to_details(row: ClassifierVersion, active: int | None) -> contracts.ClassifierVersionDetails:
    return contracts.ClassifierVersionDetails(**_version(row, active), report=HeadReport.model_validate(row.report))


def _version(row: ClassifierVersion, active: int | None) -> dict[str, Any]:
    kept = {"number", "encoder", "sha256", "bytes", "labels", "threshold", "trained_by", "trained_at"}
    told = {name: row.report.get(name) for name in ("examples", "accuracy", "macro_f1")}
    return {**row.model_dump(include=kept), **told, "active": row.number == active}


def _names(row: Classifier) -> list[str]:
    return [label["name"] for label in row.labels]


def _twice(names: Sequence[str]) -> list[Fault]:
    return [
        Fault(f"/labels/{number}/name", "classifier.label_twice", "a label is named once")
        for number, name in enumerate(names)
        if name in names[:number]
    ]


def _examples_twice(new: NewClassifier) -> list[Fault]:
    seen: set[str] = set()
    faults = []
    for place, label in enumerate(new.labels):
        for number, text in enumerate(label.examples):
            digest = digest_of(text)
            if digest in seen:
                pointer = f"/labels/{place}/examples/{number}"
                faults.append(Fault(pointer, "classifier.example_twice", "a text is an example of one label, once"))
            seen.add(digest)
    return faults


def _unknown(pointer: str, label: str) -> Fault:
    return Fault(pointer, "classifier.label_unknown", f"the classifier has no label {label!r}")


def _example(
    row: Classifier,
    text: str,
    label: str,
    principal: Principal,
    *,
    is_correction: bool = False,
    response_id: str | None = None,
) -> dict[str, Any]:
    return {
        "id": new_id("cex"),
        "classifier_id": row.id,
        "label": label,
        "text": text,
        "digest": digest_of(text),
        "is_correction": is_correction,
        "response_id": response_id,
        "created_by": principal.subject,
        "created_at": utc_now(),
    }


async def _counted(unit: UnitOfWork, row: Classifier) -> int:
    """How many examples there are. Raises InvalidClassifier for too many."""
    count = sum((await classifiers_of(unit).count_examples(row.id)).values())
    if count > MAX_EXAMPLES:
        raise InvalidClassifier.at("/examples", "length.max", f"a classifier has at most {MAX_EXAMPLES} examples")
    return count


async def _may_read(unit: UnitOfWork, principal: Principal, response_id: str) -> bool:
    found = await ResponseRepository(unit.session, unit.tenant).find(response_id)
    return found is not None and principal.may(_RESPONSES, found.form_id)


async def _named(unit: UnitOfWork) -> None:
    try:
        async with unit.session.begin_nested():
            await unit.session.flush()
    except IntegrityError as error:
        raise ClassifierNameTaken from error


def _tell(unit: UnitOfWork, principal: Principal, fact: EventData) -> None:
    record(unit, fact, actor=principal.subject, origin=principal.origin)
