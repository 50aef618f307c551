"""What is to be expected of a form's figures, and alarms on what is not."""

from deployments.analytics.forecast_contracts import (
    Alarm,
    Anomaly,
    AskDrift,
    AskForecast,
    ChangeAlarm,
    Drift,
    Forecast,
    NewAlarm,
)
from deployments.kit.contract import Page
from serve_app.edge.operations import Exchange, Operation, PageQuery, Reply

_FORM = "/api/v2/analytics/forms/{form_id}"
_READ = "analytics:read"
_WRITE = "analytics:write"


async def forecast(x: Exchange) -> Reply:
    return Reply(await x.apis.analytics.forecast(x.principal, x.path["form_id"], x.query))


async def drift(x: Exchange) -> Reply:
    return Reply(await x.apis.analytics.drift(x.principal, x.path["form_id"], x.query))


async def create_alarm(x: Exchange) -> Reply:
    form_id = x.path["form_id"]
    alarm = await x.apis.analytics.create_alarm(x.principal, form_id, x.body)
    return Reply(alarm, headers=(("location", f"/api/v2/analytics/forms/{form_id}/alarms/{alarm.id}"),))


async def list_alarms(x: Exchange) -> Reply:
    query: PageQuery = x.query
    return Reply(await x.apis.analytics.list_alarms(x.principal, x.path["form_id"], query.cursor, query.limit))


async def get_alarm(x: Exchange) -> Reply:
    return Reply(await x.apis.analytics.get_alarm(x.principal, x.path["form_id"], x.path["alarm_id"]))


async def change_alarm(x: Exchange) -> Reply:
    return Reply(await x.apis.analytics.change_alarm(x.principal, x.path["form_id"], x.path["alarm_id"], x.body))


async def delete_alarm(x: Exchange) -> Reply:
    await x.apis.analytics.delete_alarm(x.principal, x.path["form_id"], x.path["alarm_id"])
    return Reply()


async def list_anomalies(x: Exchange) -> Reply:
    query: PageQuery = x.query
    return Reply(await x.apis.analytics.list_anomalies(x.principal, x.path["form_id"], query.cursor, query.limit))


OPERATIONS = (
    Operation(
        id="forecast",
        method="GET",
        path=f"{_FORM}/forecast",
        summary="What is to be expected of a figure",
        description="Learned from complete buckets by the model that erred least when it had to say what is known by "
        "now. Where there is too little to learn from, `enough` is false, and no number is made up.",
        tag="analytics",
        scope=_READ,
        handler=forecast,
        query=AskForecast,
        response=Forecast,
        errors=(503,),
    ),
    Operation(
        id="drift",
        method="GET",
        path=f"{_FORM}/drift",
        summary="Whether people answer differently than before",
        description="Compares the answers of a span with those of the span before it, for each field with options or "
        "numbers. Fields with personal data need `responses:read_personal`.",
        tag="analytics",
        scope=_READ,
        handler=drift,
        query=AskDrift,
        response=Drift,
        errors=(503,),
    ),
    Operation(
        id="create_alarm",
        method="POST",
        path=f"{_FORM}/alarms",
        summary="Be told of what is not as expected",
        description="A webhook with `analytics.anomaly_detected` or `analytics.drift_detected` hears of it, and "
        "`recipients` get a mail. Looks at each bucket once it is complete.",
        tag="analytics",
        scope=_WRITE,
        handler=create_alarm,
        request=NewAlarm,
        response=Alarm,
        status=201,
        errors=(409,),
        example={"name": "Far fewer answers than usual", "direction": "low", "recipients": ["ada@example.com"]},
    ),
    Operation(
        id="list_alarms",
        method="GET",
        path=f"{_FORM}/alarms",
        summary="The alarms of a form",
        tag="analytics",
        scope=_READ,
        handler=list_alarms,
        query=PageQuery,
        response=Page[Alarm],
    ),
    Operation(
        id="get_alarm",
        method="GET",
        path=f"{_FORM}/alarms/{{alarm_id}}",
        summary="An alarm, and what it found last",
        tag="analytics",
        scope=_READ,
        handler=get_alarm,
        response=Alarm,
    ),
    Operation(
        id="change_alarm",
        method="PATCH",
        path=f"{_FORM}/alarms/{{alarm_id}}",
        summary="Change an alarm",
        tag="analytics",
        scope=_WRITE,
        handler=change_alarm,
        request=ChangeAlarm,
        response=Alarm,
    ),
    Operation(
        id="delete_alarm",
        method="DELETE",
        path=f"{_FORM}/alarms/{{alarm_id}}",
        summary="Forget an alarm and what it found",
        tag="analytics",
        scope=_WRITE,
        handler=delete_alarm,
        status=204,
    ),
    Operation(
        id="list_anomalies",
        method="GET",
        path=f"{_FORM}/anomalies",
        summary="What the alarms of a form found",
        tag="analytics",
        scope=_READ,
        handler=list_anomalies,
        query=PageQuery,
        response=Page[Anomaly],
    ),
)
