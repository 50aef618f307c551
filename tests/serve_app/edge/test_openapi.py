"""The document: valid, complete, and true."""

import re
from dataclasses import replace

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from serve_app.edge.operations import Access
from serve_app.edge.routes import OPERATIONS

PUBLIC = {"sign_up", "log_in", "refresh", "signing_keys", "get_public_form", "submit_public_response"}
PUBLIC |= {"get_definition_schema"}
PUBLIC |= {"start_oidc_login", "finish_oidc_login", "exchange_oidc_code", "finish_oidc_logout"}
PUBLIC |= {"verify_email", "forgot_password", "reset_password", "look_up_invitation", "accept_invitation"}
PUBLIC |= {"request_code", "verify_code", "show_second_factor", "send_second_factor_code"}
PUBLIC |= {"start_second_factor_setup", "confirm_second_factor_setup"}
PUBLIC |= {"resume_response", "save_partial_response"}
PUBLIC |= {"send_public_file", "create_public_upload", "get_public_upload", "append_to_public_upload"}
PUBLIC |= {"cancel_public_upload", "follow_file_link", "follow_export_link", "report_text_message"}
PUBLIC |= {"follow_report_link"}
SIGNED_IN = {"me", "log_out", "change_password", "list_sessions", "revoke_session", "revoke_sessions"}
SIGNED_IN |= {"log_out_at_provider"}
SIGNED_IN |= {"resend_verification", "change_email", "join_form"}
SIGNED_IN |= {"list_factors", "start_totp", "confirm_totp", "remove_totp", "renew_recovery_codes"}
SIGNED_IN |= {"add_email_factor", "remove_email_factor", "add_sms_factor", "remove_sms_factor"}
SIGNED_IN |= {"submit_own_response"}
SIGNED_IN |= {"put_phone", "verify_phone", "remove_phone"}


async def test_the_document_is_valid_openapi(client: httpx.AsyncClient) -> None:
    response = await client.get("/api/v1/openapi.json")
    assert response.status_code == 200
    document = response.json()
    assert document["openapi"].startswith("3.1")
    errors = list(OpenAPIV31SpecValidator(document).iter_errors())
    assert errors == []


async def test_every_operation_is_in_it_with_its_permission(client: httpx.AsyncClient) -> None:
    document = (await client.get("/api/v1/openapi.json")).json()
    described = {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    for operation in OPERATIONS:
        found = described[operation.method, operation.path]
        assert found["operationId"] == operation.id
        assert str(operation.status) in found["responses"]
        if isinstance(operation.scope, str):
            assert found["x-required-scope"] == operation.scope
            assert operation.scope in found["description"]
            assert {"401", "403"} <= set(found["responses"])
            assert found["security"] == [{"bearer": []}]
        assert ("requestBody" in found) == (operation.request is not None)
    assert {path for _, path in described} >= {"/health", "/health/ready", "/metrics", "/api/v1/openapi.json"} - {
        "/api/v1/openapi.json"
    }


def test_every_operation_declares_a_scope_or_is_known_to_be_open() -> None:
    """T: a new route without a permission fails here, until somebody decides that it is public."""
    assert {operation.id for operation in OPERATIONS if operation.scope is Access.PUBLIC} == PUBLIC
    assert {operation.id for operation in OPERATIONS if operation.scope is Access.SIGNED_IN} == SIGNED_IN
    assert all(operation.scope for operation in OPERATIONS)


def test_a_permission_that_the_table_lacks_cannot_be_asked_for() -> None:
    """U5: default deny begins where an operation is written down."""
    known = OPERATIONS[0]
    with pytest.raises(ValueError, match="which the table does not have"):
        replace(known, scope="forms:eat")


def test_ids_and_addresses_are_unique() -> None:
    assert len({operation.id for operation in OPERATIONS}) == len(OPERATIONS)
    assert len({(operation.method, operation.path) for operation in OPERATIONS}) == len(OPERATIONS)


async def test_without_a_credential_nothing_but_the_public_answers(client: httpx.AsyncClient) -> None:
    """T: every operation that is not public refuses a request without a credential."""
    for operation in OPERATIONS:
        if operation.id in PUBLIC:
            continue
        path = re.sub(r"\{\w+\}", "x1", operation.path.replace("{version}", "1"))
        response = await client.request(operation.method, path)
        assert response.status_code == 401, operation.id
