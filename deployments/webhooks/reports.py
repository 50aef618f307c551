"""Where lanes hand in what they found out: those of one tenant that come together share a transaction."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import structlog
from sqlalchemy.exc import DBAPIError

from db.errors import DatabaseUnavailable
from db.group_commit import GroupCommit
from db.models.webhooks import WebhookLane
from db.session import Database
from deployments.webhooks.policy import Policy
from deployments.webhooks.service.lanes import Report, write_reports

_PAUSES_S: Final = (0.2, 1.0, 3.0)

_log = structlog.get_logger(__name__)


class Reports:
    """The reports of the lanes of one process. Never of two tenants in one transaction: each locks its lanes in the
    order of their ids, and between tenants there is none."""

    def __init__(self, database: Database, policy: Policy) -> None:
        self._database = database
        self._policy = policy
        self._random = random.Random()
        self._group: GroupCommit[Report, WebhookLane | None] = GroupCommit(self._write)

    async def add(self, report: Report) -> WebhookLane | None:
        """The lane after the report, once that is durable; None when its endpoint is gone.

        Keeps trying for some seconds when the database is away, since what is not written is sent again; then raises
        DatabaseUnavailable.
        """
        for pause in _PAUSES_S:
            try:
                return await self._group.add(report)
            except DatabaseUnavailable as error:
                _log.warning("attempts are not written yet", webhook=report.endpoint_id, error=str(error))
                await asyncio.sleep(pause)
        return await self._group.add(report)

    async def _write(self, reports: Sequence[Report]) -> Sequence[WebhookLane | Exception | None]:
        by_tenant: dict[str, list[int]] = defaultdict(list)
        for index, report in enumerate(reports):
            by_tenant[report.tenant_id].append(index)
        outcomes: list[WebhookLane | Exception | None] = [None] * len(reports)
        for tenant_id, indices in by_tenant.items():
            found = await self._write_of(tenant_id, [reports[index] for index in indices])
            for index, outcome in zip(indices, found, strict=True):
                outcomes[index] = outcome
        return outcomes

    async def _write_of(self, tenant_id: str, reports: Sequence[Report]) -> Sequence[WebhookLane | Exception | None]:
        try:
            async with self._database.write(tenant_id) as unit:
                return await write_reports(unit, reports, self._policy, self._random)
        except DBAPIError as error:
            if len(reports) == 1:
                return [error]
            return [outcome for each in reports for outcome in await self._write_of(tenant_id, [each])]
        except Exception as error:  # noqa: BLE001 - every lane must be answered, whatever went wrong
            return [error] * len(reports)
