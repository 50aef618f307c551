"""H1: the collection has every operation, and what it sends is what the edge takes."""

import re
from typing import Any

import httpx

from serve_app.edge.routes import OPERATIONS


async def _collection(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get("/api/v1/postman.json")
    assert answer.status_code == 200
    collection: dict[str, Any] = answer.json()
    return collection


async def test_every_operation_is_in_a_folder(client: httpx.AsyncClient) -> None:
    collection = await _collection(client)
    assert collection["info"]["schema"].endswith("/v2.1.0/collection.json")
    requests = [item["request"] for folder in collection["item"] for item in folder["item"]]
    addresses = {
        (each["method"], re.sub(r":(\w+)|\{\{(?!base_url)(\w+)\}\}", "{}", each["url"]["raw"].partition("}}")[2]))
        for each in requests
    }
    assert {(each.method, re.sub(r"\{\w+\}", "{}", each.path)) for each in OPERATIONS} <= addresses
    assert {folder["name"] for folder in collection["item"]} >= {each.tag for each in OPERATIONS}


async def test_a_request_is_taken_as_the_collection_has_it(client: httpx.AsyncClient) -> None:
    collection = await _collection(client)
    (item,) = [
        item
        for folder in collection["item"]
        for item in folder["item"]
        if item["request"]["url"]["raw"] == "{{base_url}}/api/v1/forms/:form_id/responses"
        and item["request"]["method"] == "POST"
    ]
    request = item["request"]
    assert collection["auth"]["bearer"][0]["value"] == "{{token}}"
    values = {"{{base_url}}": str(client.base_url), ":form_id": "frm_1"}
    url = re.sub("|".join(map(re.escape, values)), lambda found: values[found[0]], request["url"]["raw"])
    headers = {each["key"]: each["value"] for each in request["header"] if not each.get("disabled")}
    answer = await client.post(
        url, content=request["body"]["raw"], headers={**headers, "authorization": "Bearer owner"}
    )
    assert answer.status_code == 201, answer.text


async def test_public_operations_send_no_credential(client: httpx.AsyncClient) -> None:
    collection = await _collection(client)
    open_ = {
        item["request"]["url"]["raw"]
        for folder in collection["item"]
        for item in folder["item"]
        if item["request"].get("auth") == {"type": "noauth"}
    }
    assert "{{base_url}}/api/v1/auth/login" in open_
    assert "{{base_url}}/api/v1/forms/:form_id/responses" not in open_
