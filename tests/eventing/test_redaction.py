"""R8: an event of an erased person stays a fact that can be replayed."""

import pytest

from db.types import utc_now
from eventing.events.envelope import Event, Origin
from eventing.events.files import FileUploaded
from eventing.events.responses import ResponseReviewed, ResponseSubmitted
from eventing.outbox import make_event
from eventing.redaction import TELLING, redacted

ORIGIN = Origin(request_id="req_1", address="203.0.113.7", user_agent="Ada's browser", traceparent="00-1-2-01")


def test_answers_names_of_files_and_the_origin_go_and_the_rest_stays() -> None:
    submitted = ResponseSubmitted(
        response_id="rsp_1", form_id="frm_1", form_version=2, status="complete", answers={"name": "Ada"}
    )
    uploaded = FileUploaded(file_id="fil_1", form_id="frm_1", field="cv", name="ada.pdf", size=7, media_type="x/y")
    reviewed = ResponseReviewed(response_id="rsp_1", form_id="frm_1", review="approved", previous="none")
    for fact in (submitted, uploaded, reviewed):
        event = make_event(fact, tenant_id="acme", actor="anonymous", origin=ORIGIN)
        after = Event.decode(redacted(event.encode()))
        emptied = {name: type(event.data[name])() for name in fact.personal}
        assert after.data == {**event.data, **emptied}
        assert after.origin == Origin()
        kept = ("id", "type", "version", "timestamp", "tenant_id", "entity_id", "form_id", "actor")
        assert all(getattr(after, name) == getattr(event, name) for name in kept)
        assert after.read(type(fact))
        assert redacted(after.encode()) == after.encode()
    assert TELLING == ("file.rejected", "file.uploaded", "inference.completed", "response.submitted")


def test_of_a_type_that_nobody_knows_nothing_is_told() -> None:
    data = {"text": "Ada", "more": {"a": 1}, "number": 7}
    event = Event("evt_1", "response.sung", 1, utc_now(), "acme", "rsp_1", "frm_1", "anonymous", ORIGIN, data)
    assert Event.decode(redacted(event.encode())).data == {"text": "", "more": {}, "number": 0}
    with pytest.raises(ValueError):
        redacted("no event")
