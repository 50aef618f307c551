"""Figures on responses."""

from deployments.analytics.contracts import AnalyticsHealth
from serve_app.edge.operations import Exchange, Operation, Reply


async def analytics_health(x: Exchange) -> Reply:
    return Reply(await x.apis.analytics.health(x.principal))


OPERATIONS = (
    Operation(
        id="analytics_health",
        method="GET",
        path="/api/v2/analytics/health",
        summary="Whether figures are up to date",
        tag="analytics",
        scope="analytics:read",
        handler=analytics_health,
        response=AnalyticsHealth,
    ),
)
