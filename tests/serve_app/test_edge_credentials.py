"""T2: the edge's own reading of credentials fails like a context that is away."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from db.settings import DatabaseSettings
from deployments.kit.errors import Unauthenticated, Unavailable
from serve_app.edge_credentials import EdgeCredentials
from tests.serve_app.one_process import settings_for


async def test_a_database_that_is_away_is_a_passing_failure(tmp_path: Path) -> None:
    nowhere = DatabaseSettings(url=f"sqlite:///{tmp_path / 'not' / 'there.db'}")
    credentials = EdgeCredentials(settings_for(tmp_path, nowhere), deadline_s=5)
    try:
        for asked in (
            credentials.authenticate("fsk_x"),
            credentials.find_tenant("acme"),
            credentials.find_tenant_by_host("forms.acme.example"),
        ):
            with pytest.raises(Unavailable) as refused:
                await asked
            assert refused.value.retry_after == 1.0
    finally:
        await credentials.stop()


async def test_a_database_that_does_not_answer_is_given_up(
    tmp_path: Path, database_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = EdgeCredentials(settings_for(tmp_path, database_settings), deadline_s=0.05)
    try:

        async def never(_: Any, _work: Callable[..., Any], _tenant_id: str | None = None) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr("db.session.Database.view", never)
        with pytest.raises(Unavailable):
            await credentials.find_tenant("acme")
    finally:
        await credentials.stop()


async def test_a_stranger_is_refused_and_an_unknown_tenant_is_none(
    tmp_path: Path, database_settings: DatabaseSettings
) -> None:
    credentials = EdgeCredentials(settings_for(tmp_path, database_settings), deadline_s=5)
    try:
        for credential in ("fsk_unknown", "not.a.token"):
            with pytest.raises(Unauthenticated):
                await credentials.authenticate(credential)
        assert await credentials.find_tenant("nobody") is None
        assert await credentials.find_tenant_by_host("nobody.example") is None
    finally:
        await credentials.stop()
