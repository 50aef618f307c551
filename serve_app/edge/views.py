"""How often forms are opened: counted here, and handed over about once a second."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import structlog
from sanic import Request

from deployments.analytics.metric_contracts import FormViews, MetricsApi, ViewBatch
from deployments.kit.principal import PLATFORM_TENANT, Principal

_TELL_S: Final = 1.0
_FORMS: Final = 10_000

log = structlog.get_logger(__name__)


class Views:
    """The views of one edge. A batch is handed over until it was taken, and counts once; what an edge had not handed
    over when it was killed is lost: at most the views of a second, or of the time that nobody took them."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._edge = secrets.token_hex(8)
        self._number = 0
        self._counts: Counter[tuple[str, str, datetime]] = Counter()
        self._waiting: ViewBatch | None = None

    def count(self, request: Request, tenant_id: str, form_id: str) -> None:
        """Count a view, if a person looks: not a HEAD, and not what a browser fetches in case it is wanted."""
        if request.method != "GET" or _is_prefetch(request):
            return
        now = self._clock()
        quarter = now.replace(minute=now.minute - now.minute % 15, second=0, microsecond=0)
        place = tenant_id, form_id, quarter
        # Beyond the bound only forms that are counted already go on being counted.
        if place in self._counts or len(self._counts) < _FORMS:
            self._counts[place] += 1

    async def run(self, analytics: MetricsApi) -> None:
        """Hand over once a second, until cancelled."""
        while True:
            await asyncio.sleep(_TELL_S)
            await self.hand_over(analytics)

    async def hand_over(self, analytics: MetricsApi) -> None:
        """Hand over what was counted; what was not taken is told again, under the number it had."""
        if self._waiting is None:
            if not self._counts:
                return
            self._number += 1
            views = [
                FormViews(tenant_id=tenant_id, form_id=form_id, since=since, views=count)
                for (tenant_id, form_id, since), count in self._counts.items()
            ]
            self._counts.clear()
            self._waiting = ViewBatch(edge=self._edge, number=self._number, views=views)
        try:
            await analytics.count_views(Principal.system(PLATFORM_TENANT, "edge"), self._waiting)
        except Exception as error:  # noqa: BLE001 - it is told again in a second
            log.info("views not handed over", error=str(error) or type(error).__name__)
        else:
            self._waiting = None


def _is_prefetch(request: Request) -> bool:
    purposes = (request.headers.getone(name, "") for name in ("sec-purpose", "purpose", "x-moz"))
    return any("prefetch" in purpose.lower() for purpose in purposes)
