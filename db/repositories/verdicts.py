"""What models said about responses, and the directions of their texts: forgotten with what they were about."""

from collections.abc import Collection

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.inference import AnswerVector, EnrichmentTask, Verdict


class VerdictRepository:
    """The verdicts and vectors of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def forget(self, response_ids: Collection[str]) -> None:
        """Delete all that models have said about these responses, which are locked, and what they were to look at."""
        for table in (Verdict, AnswerVector, EnrichmentTask):
            await self._session.execute(
                delete(table)
                .where(col(table.tenant_id) == self._tenant_id, col(table.response_id).in_(response_ids))
                .execution_options(synchronize_session=False)
            )

    async def forget_vectors(self, response_id: str, fields: Collection[str]) -> None:
        """Delete the vectors of answers that are other ones now."""
        await self._session.execute(
            delete(AnswerVector)
            .where(
                col(AnswerVector.tenant_id) == self._tenant_id,
                col(AnswerVector.response_id) == response_id,
                col(AnswerVector.field).in_(fields),
            )
            .execution_options(synchronize_session=False)
        )
