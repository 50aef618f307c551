"""What starts jobs by the clock."""

from deployments.jobs.contracts import NewSchedule, SchedulableKind, Schedule, ScheduleChange, StartedRun
from deployments.kit.contract import Contract, Page
from serve_app.edge.operations import Exchange, Operation, PageQuery, Reply


class SchedulableKinds(Contract):
    """What schedules may start."""

    data: list[SchedulableKind]


async def list_schedulable(x: Exchange) -> Reply:
    return Reply(SchedulableKinds(data=await x.apis.jobs.list_schedulable(x.principal)))


async def create_schedule(x: Exchange) -> Reply:
    return Reply(await x.apis.jobs.create_schedule(x.principal, x.body))


async def list_schedules(x: Exchange) -> Reply:
    return Reply(await x.apis.jobs.list_schedules(x.principal, x.query.cursor, x.query.limit))


async def get_schedule(x: Exchange) -> Reply:
    return Reply(await x.apis.jobs.get_schedule(x.principal, x.path["schedule_id"]))


async def change_schedule(x: Exchange) -> Reply:
    return Reply(await x.apis.jobs.change_schedule(x.principal, x.path["schedule_id"], x.body))


async def delete_schedule(x: Exchange) -> Reply:
    await x.apis.jobs.delete_schedule(x.principal, x.path["schedule_id"])
    return Reply()


async def run_schedule(x: Exchange) -> Reply:
    started = await x.apis.jobs.run_schedule(x.principal, x.path["schedule_id"])
    return Reply(started, headers=(("location", f"/api/v1/jobs/{started.job_id}"),))


OPERATIONS = (
    Operation(
        id="list_schedulable_kinds",
        method="GET",
        path="/api/v1/schedules/kinds",
        summary="The kinds of jobs that schedules may start",
        tag="Jobs",
        scope="jobs:read",
        handler=list_schedulable,
        response=SchedulableKinds,
    ),
    Operation(
        id="create_schedule",
        method="POST",
        path="/api/v1/schedules",
        summary="Start a job by the clock",
        description="Beside `jobs:write` the permission of the kind is needed, see `GET /api/v1/schedules/kinds`.",
        tag="Jobs",
        scope="jobs:write",
        handler=create_schedule,
        request=NewSchedule,
        response=Schedule,
        status=201,
        errors=(409,),
        example={
            "name": "weekly backup",
            "kind": "tenant.order_export",
            "cron": "30 3 * * SUN",
            "time_zone": "Europe/Berlin",
            "missed": "run_once",
        },
    ),
    Operation(
        id="list_schedules",
        method="GET",
        path="/api/v1/schedules",
        summary="The tenant's schedules, newest first",
        tag="Jobs",
        scope="jobs:read",
        handler=list_schedules,
        query=PageQuery,
        response=Page[Schedule],
    ),
    Operation(
        id="get_schedule",
        method="GET",
        path="/api/v1/schedules/{schedule_id}",
        summary="A schedule, with its next and its last run",
        tag="Jobs",
        scope="jobs:read",
        handler=get_schedule,
        response=Schedule,
    ),
    Operation(
        id="change_schedule",
        method="PATCH",
        path="/api/v1/schedules/{schedule_id}",
        summary="Change a schedule, or switch it on or off",
        tag="Jobs",
        scope="jobs:write",
        handler=change_schedule,
        request=ScheduleChange,
        response=Schedule,
        errors=(409,),
        example={"enabled": False},
    ),
    Operation(
        id="delete_schedule",
        method="DELETE",
        path="/api/v1/schedules/{schedule_id}",
        summary="Delete a schedule",
        tag="Jobs",
        scope="jobs:write",
        handler=delete_schedule,
        status=204,
    ),
    Operation(
        id="run_schedule",
        method="POST",
        path="/api/v1/schedules/{schedule_id}/run",
        summary="Start the job of a schedule at once",
        tag="Jobs",
        scope="jobs:write",
        handler=run_schedule,
        response=StartedRun,
        status=202,
    ),
)
