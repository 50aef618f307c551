"""Queries for classifiers, their examples and their versions."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.classifiers import Classifier, ClassifierExample, ClassifierVersion
from db.repositories.upsert import upsert

_AT_ONCE: Final = 500
_CHANGED: Final = ("label", "is_correction", "response_id", "created_by", "created_at")


class ClassifierRepository:
    """The classifiers of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._mine = select(Classifier).where(col(Classifier.tenant_id) == tenant_id)

    def add(self, row: Classifier | ClassifierVersion) -> None:
        self._session.add(row)

    async def find(self, classifier_id: str, *, for_update: bool = False) -> Classifier | None:
        statement = self._mine.where(col(Classifier.id) == classifier_id)
        if for_update:
            # Also where this unit has read it before: what another one committed since counts.
            statement = statement.with_for_update().execution_options(populate_existing=True)
        return await self._session.scalar(statement)

    async def page(self, before_id: str | None, limit: int, *, form_id: str | None = None) -> Sequence[Classifier]:
        """Classifiers, newest first."""
        statement = self._mine.order_by(col(Classifier.id).desc()).limit(limit)
        if before_id is not None:
            statement = statement.where(col(Classifier.id) < before_id)
        if form_id is not None:
            statement = statement.where(col(Classifier.form_id) == form_id)
        return (await self._session.scalars(statement)).all()

    async def count(self) -> int:
        """How many there are."""
        return await self._session.scalar(select(func.count()).select_from(self._mine.subquery())) or 0

    async def delete(self, row: Classifier) -> None:
        """Forget it, with its examples and versions."""
        await self._session.delete(row)
        await self._session.flush()

    # Examples.

    async def count_examples(self, classifier_id: str) -> dict[str, int]:
        """How many examples each label has."""
        statement = (
            select(col(ClassifierExample.label), func.count())
            .where(*self._of(ClassifierExample, classifier_id))
            .group_by(col(ClassifierExample.label))
        )
        return {label: count for label, count in await self._session.execute(statement)}  # noqa: C416

    async def put_examples(self, rows: Sequence[dict[str, Any]]) -> None:
        """Store examples, each with a text of its own; one that is an example already keeps its id and gets the new
        label."""
        for start in range(0, len(rows), _AT_ONCE):
            values = [{**row, "tenant_id": self._tenant_id} for row in rows[start : start + _AT_ONCE]]
            insert = upsert(self._session, ClassifierExample).values(values)
            changed = {name: insert.excluded[name] for name in _CHANGED}
            text = ["tenant_id", "classifier_id", "digest"]
            await self._session.execute(insert.on_conflict_do_update(index_elements=text, set_=changed))

    async def find_example(self, classifier_id: str, digest: str) -> ClassifierExample | None:
        """The example with the text of this digest."""
        statement = select(ClassifierExample).where(
            *self._of(ClassifierExample, classifier_id), col(ClassifierExample.digest) == digest
        )
        return await self._session.scalar(statement.execution_options(populate_existing=True))

    async def examples(
        self, classifier_id: str, after_id: str, limit: int, *, label: str | None = None
    ) -> Sequence[ClassifierExample]:
        """Examples, oldest first."""
        statement = (
            select(ClassifierExample)
            .where(*self._of(ClassifierExample, classifier_id), col(ClassifierExample.id) > after_id)
            .order_by(col(ClassifierExample.id))
            .limit(limit)
        )
        if label is not None:
            statement = statement.where(col(ClassifierExample.label) == label)
        return (await self._session.scalars(statement)).all()

    async def known(self, classifier_id: str, digests: Collection[str]) -> set[str]:
        """Which of these are digests of examples."""
        statement = select(col(ClassifierExample.digest)).where(
            *self._of(ClassifierExample, classifier_id), col(ClassifierExample.digest).in_(digests)
        )
        return set(await self._session.scalars(statement))

    async def remove_example(self, classifier_id: str, example_id: str) -> bool:
        """Whether there was such an example."""
        statement = (
            delete(ClassifierExample)
            .where(*self._of(ClassifierExample, classifier_id), col(ClassifierExample.id) == example_id)
            .returning(col(ClassifierExample.id))
        )
        return (await self._session.execute(statement)).first() is not None

    async def remove_labels(self, classifier_id: str, but: Collection[str]) -> None:
        """Forget the examples of all other labels."""
        statement = delete(ClassifierExample).where(
            *self._of(ClassifierExample, classifier_id), col(ClassifierExample.label).not_in(but)
        )
        await self._session.execute(statement)

    # Versions.

    async def version(self, classifier_id: str, number: int) -> ClassifierVersion | None:
        return await self._session.get(ClassifierVersion, (self._tenant_id, classifier_id, number))

    async def version_of_job(self, classifier_id: str, job_id: str) -> ClassifierVersion | None:
        """What a job has made."""
        statement = select(ClassifierVersion).where(
            *self._of(ClassifierVersion, classifier_id), col(ClassifierVersion.job_id) == job_id
        )
        return await self._session.scalar(statement)

    async def versions(self, classifier_id: str) -> Sequence[ClassifierVersion]:
        """Its versions, newest first."""
        statement = (
            select(ClassifierVersion)
            .where(*self._of(ClassifierVersion, classifier_id))
            .order_by(col(ClassifierVersion.number).desc())
        )
        return (await self._session.scalars(statement)).all()

    async def remove_version(self, row: ClassifierVersion) -> None:
        await self._session.delete(row)

    async def outlived(self) -> list[tuple[str, int]]:
        """Versions, as classifier and number, that have learned from a response of which their classifier has no
        example any more."""
        columns = col(ClassifierVersion.classifier_id), col(ClassifierVersion.number), col(ClassifierVersion.learned)
        found = await self._session.execute(select(*columns).where(col(ClassifierVersion.tenant_id) == self._tenant_id))
        outlived = []
        for classifier_id, number, learned in found.all():
            if learned:
                statement = select(col(ClassifierExample.response_id)).where(
                    *self._of(ClassifierExample, classifier_id), col(ClassifierExample.response_id).is_not(None)
                )
                if set(learned) - set(await self._session.scalars(statement)):
                    outlived.append((classifier_id, number))
        return outlived

    def _of(self, table: type[ClassifierExample] | type[ClassifierVersion], classifier_id: str) -> tuple[Any, Any]:
        return col(table.tenant_id) == self._tenant_id, col(table.classifier_id) == classifier_id
