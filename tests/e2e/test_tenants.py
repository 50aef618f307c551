"""T5: a second tenant's credential finds nothing of the first."""

import pytest

from tests.e2e.platform import Platform
from tests.factories import ANSWERS, PARTY
from tests.security.requests import described


@pytest.mark.cluster
async def test_a_second_tenant_gets_404_on_everything_of_the_first(platform: Platform) -> None:
    acme, other = await platform.sign_up("acme"), await platform.sign_up("rival")
    form = (await acme.post("/api/v1/forms", json={"slug": "party", "title": "Party", "definition": PARTY})).json()
    assert (await acme.post(f"/api/v1/forms/{form['id']}/publish")).status_code == 200
    answered = await acme.post(f"/api/v1/forms/{form['id']}/responses", json={"answers": ANSWERS})
    assert answered.status_code == 201, answered.text
    hook = (
        await acme.post("/api/v1/webhooks", json={"url": "https://example.org/hook", "events": ["response.submitted"]})
    ).json()
    tested = (await acme.post(f"/api/v1/webhooks/{hook['id']}/test")).json()
    ids = {
        "form_id": form["id"],
        "response_id": answered.json()["id"],
        "webhook_id": hook["id"],
        "delivery_id": tested["id"],
        "version": "1",
        "tenant_id": "acme",
    }
    document = (await acme.get("/api/v1/openapi.json")).json()
    tried = 0
    for operation in described(document):
        if operation.public or not operation.parameters or not set(operation.parameters) <= ids.keys():
            continue
        missing = {name: value if name == "version" else value[:-4] + "0000" for name, value in ids.items()}
        theirs, absent = await operation.send(other, ids), await operation.send(other, missing)
        assert theirs.status_code in {403, 404}, (operation.id, theirs.status_code, theirs.text)
        assert theirs.status_code == absent.status_code, operation.id
        tried += 1
    assert tried >= 40
    assert (await acme.get(f"/api/v1/responses/{ids['response_id']}")).status_code == 200
    await acme.aclose()
    await other.aclose()
