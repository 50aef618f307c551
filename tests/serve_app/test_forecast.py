"""L5 over HTTP: the guide's commands, with figures of days that are given to them."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from db.settings import DatabaseSettings
from deployments.analytics.contracts import SeriesPoint, TimeSeries
from deployments.analytics.deployment import Analytics
from tests.architecture.rooms import ROOT
from tests.serve_app.one_process import one_process, settings_for
from tests.serve_app.test_guides import _all_work

GUIDE = ROOT / "docs" / "guides" / "analytics-forecast.md"


async def _no_figures(_self: Any, _principal: Any, form_id: str, *asked: Any) -> TimeSeries:
    measure, bucket, timezone, since, _until, _compare = asked
    points = [SeriesPoint(start=since + timedelta(days=n), value=0.0) for n in range(700)]
    return TimeSeries(form_id=form_id, measure=measure, bucket=bucket, timezone=timezone, points=points)


async def test_every_command_about_forecasts_works(
    sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Analytics, "timeseries", _no_figures, raising=False)
    guide = tmp_path / GUIDE.name
    guide.write_text(GUIDE.read_text().replace("$analytics", "/api/v2/analytics"))
    async with one_process(settings_for(tmp_path, sqlite_settings), monkeypatch, works=False) as platform:
        answers = await _all_work(platform, guide)
    assert answers == [
        *[("POST", 201), ("POST", 200), ("GET", 200), ("POST", 201), ("GET", 200), ("POST", 201), ("GET", 200)],
        *[("PATCH", 200), ("GET", 200), ("POST", 201), ("GET", 200), ("DELETE", 204)],
    ]
