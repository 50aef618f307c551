"""U8: the random values of a login, and where it may end."""

from urllib.parse import urljoin, urlsplit

import httpx
from hypothesis import example, given
from hypothesis import strategies as st

from deployments.federation.tickets import browser_of, is_safe_return, new_challenge, new_ticket, tenant_of

HERE = "https://forms.example.com"


@given(st.text(alphabet="/\\.:@?#%2fFa\t\r\n \0é", max_size=12))
@example("//evil.example")
@example("/\\evil.example")
@example("/\t/evil.example")
@example("/..//evil.example")
def test_a_safe_return_stays_here_for_whoever_reads_it(path: str) -> None:
    """U8: no open redirect, by two readings of the standard, relative or behind our own origin."""
    if not is_safe_return(path):
        return
    for location in (urljoin(HERE, path), HERE + path):
        assert urlsplit(location).netloc == "forms.example.com"
    assert httpx.URL(HERE).join(path).host == httpx.URL(HERE + path).host == "forms.example.com"
    assert "#" not in path


@given(st.from_regex(r"[a-z0-9][a-z0-9_-]{1,62}", fullmatch=True))
def test_a_ticket_names_its_tenant(tenant_id: str) -> None:
    ticket = new_ticket(tenant_id)
    assert tenant_of(ticket) == tenant_id
    assert tenant_of(ticket + "a") is tenant_of(ticket[:-1]) is tenant_of(" " + ticket) is None


@given(st.text(max_size=80))
def test_any_other_text_is_no_ticket_and_no_browser(text: str) -> None:
    """A value of ours has 256 random bits; nobody is made to use less."""
    assert tenant_of(text) is None or len(text) >= 46
    assert len(browser_of(text)) == 43


def test_values_do_not_repeat() -> None:
    """RFC 7636, appendix B: the challenge of a verifier."""
    assert len({new_ticket("acme") for _ in range(100)} | {browser_of(None) for _ in range(100)}) == 200
    challenge = new_challenge()
    known = type(challenge)("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "nonce")
    assert known.code_challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert challenge.verifier != challenge.nonce
