"""Telling events again."""

from deployments.events.recovery_contracts import StartedJob, StartReplay
from serve_app.edge.operations import IDEMPOTENCY_KEY, Exchange, Operation, Reply
from serve_app.edge.orders import accepted
from serve_app.edge.parsing import idempotency_key


async def start_replay(x: Exchange) -> Reply:
    return accepted(await x.apis.events.replay(x.principal, x.body, idempotency_key(x.request)))


OPERATIONS = (
    Operation(
        id="replay_events",
        method="POST",
        path="/api/v1/events/replay",
        summary="Tell a webhook or a consumer of events again",
        description="By a job, whose address is in `Location`; cancelled, it stops, and started again it goes on. "
        "A webhook gets new deliveries with the header `formstream-replay`, under the ids of the events, of what it "
        "subscribed to. A consumer has each effect once more in each replay. With `dry_run` the job only counts.",
        tag="Events",
        scope="events:write",
        handler=start_replay,
        request=StartReplay,
        response=StartedJob,
        status=202,
        headers=(IDEMPOTENCY_KEY,),
        example={"webhook_id": "whk_…", "types": ["response.submitted"], "since": "2026-03-01T00:00:00Z"},
    ),
)
