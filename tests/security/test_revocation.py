"""U2: what is revoked at one edge ends at every edge, as soon as the others hear of it."""

from pathlib import Path

import httpx
import pytest

from db.settings import DatabaseSettings
from serve_app.contexts import CONTEXTS
from serve_app.edge.auth import Authenticator
from serve_app.edge_host import EdgeHost
from tests.e2e.platform import free_port
from tests.eventing.harness import eventually
from tests.serve_app.one_process import one_process, replica, settings_for
from tests.serve_app.test_edge_link import heard

ME = "/api/v1/me"


async def test_a_session_that_is_ended_at_one_edge_ends_at_the_other(
    nats_server: str, sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The edges' memory of a second is made an hour here, so that nothing but the news can end the session."""
    monkeypatch.setitem(Authenticator.__init__.__kwdefaults__, "ttl_s", 3_600.0)
    settings = settings_for(tmp_path, sqlite_settings, nats_server)
    async with one_process(settings, monkeypatch) as platform:
        elsewhere = settings.model_copy(update={"port": free_port()})
        homes = {name: "hot" if name == "responses" else "calm" for name in CONTEXTS}
        async with replica(EdgeHost, elsewhere, homes) as other:
            assert platform.edge is not None
            await heard(nats_server, platform.edge._edge)
            await heard(nats_server, other._edge)
            owner = await platform.sign_up()
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{elsewhere.port}", headers=owner.headers) as there:
                assert [(await client.get(ME)).status_code for client in (owner, there)] == [200, 200]
                login = {"tenant": "acme", "email": "owner@acme.example", "password": "correct horse battery"}
                fresh = (await owner.post("/api/v1/auth/login", json=login)).json()["access_token"]
                second = {"Authorization": f"Bearer {fresh}"}
                assert [(await client.get(ME, headers=second)).status_code for client in (owner, there)] == [200, 200]
                assert (await owner.delete("/api/v1/sessions")).status_code == 204

                async def ended() -> bool:
                    return (await there.get(ME, headers=second)).status_code == 401

                await eventually(ended)
                assert (await owner.get(ME, headers=second)).status_code == 401
                assert (await there.get(ME)).status_code == 200
