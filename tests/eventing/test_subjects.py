"""Subjects: what may become part of one, and what must not."""

import pytest

from eventing.errors import InvalidSubject
from eventing.subjects import EVENTS_FILTER, NUDGE_RELAY, event_filter, event_subject, job_nudge, tenant_filter

REFUSED = [
    "", "*", ">", ".", "..", "a..b", ".a", "a.", "a.*", "a.>", "a b", " a", "a ", "a\n", "\n", "a\r\nb", "a\x00",
    "Acme", "é", "a/b", "a$", "tenant\u2028",
]  # fmt: skip


def test_the_subject_holds_the_tenant_and_the_dotted_type() -> None:
    assert event_subject("acme-2_b", "response.submitted") == "events.acme-2_b.response.submitted"
    assert event_filter("response.submitted") == "events.*.response.submitted"
    assert job_nudge("exports") == "nudge.jobs.exports"


def test_nudges_are_outside_the_stream() -> None:
    prefix = EVENTS_FILTER.removesuffix(">")
    assert not NUDGE_RELAY.startswith(prefix)
    assert not job_nudge("exports").startswith(prefix)


@pytest.mark.parametrize("text", REFUSED)
def test_no_wildcard_space_or_empty_token_gets_in(text: str) -> None:
    with pytest.raises(InvalidSubject):
        event_subject(text, "response.submitted")
    with pytest.raises(InvalidSubject):
        event_subject("acme", text)
    with pytest.raises(InvalidSubject):
        event_filter(text)
    with pytest.raises(InvalidSubject):
        job_nudge(text)
    with pytest.raises(InvalidSubject):
        tenant_filter(text)


def test_a_tenant_cannot_span_two_tokens() -> None:
    with pytest.raises(InvalidSubject, match=r"acme\.response"):
        event_subject("acme.response", "submitted")
