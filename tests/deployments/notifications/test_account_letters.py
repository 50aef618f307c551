"""N3: every letter about an account, in every language, whatever people call themselves."""

from datetime import UTC, datetime
from html.parser import HTMLParser
from importlib import resources

import pytest
from jinja2 import meta

from deployments.notifications.catalogue import TEMPLATES
from deployments.notifications.message import build, render
from deployments.notifications.wording import environment

FOLDER = resources.files("deployments.notifications").joinpath("templates")
VALUES = {
    "email_verification": {"link"},
    "email_change": {"link"},
    "email_changed": {"name", "email"},
    "password_reset": {"name", "link"},
    "password_changed": {"name"},
    "invitation": {"inviter", "tenant", "link"},
    "form_invitation": {"inviter", "tenant", "form", "link"},
    "account_locked": {"name"},
    "factor_added": {"name", "factor"},
    "factor_removed": {"name", "factor"},
    "recovery_code_used": {"name", "left"},
    "one_time_code": {"name", "code", "minutes"},
    "quota_approached": {"name", "tenant", "what", "used", "limit"},
    "quota_exceeded": {"name", "tenant", "what", "limit"},
    "webhook_disabled": {"name", "tenant", "webhook", "reason"},
    "export_ready": {"name", "tenant", "form", "rows", "until", "link"},
    "anomaly_detected": {
        *("alarm", "form", "tenant", "when", "measure", "value", "expected", "lower", "upper", "earlier")
    },
    "drift_detected": {"alarm", "form", "tenant", "when", "explanation"},
    "test_mail": {"name", "tenant"},
}
LINK = "https://forms.example/account/reset#token=fsl_t0ken-_"
EVIL = "Eve\r\nBcc: all@example.com\r\n\r\n<script>alert(1)</script> {{ 7 * 7 }} \"'&"
WHEN = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


class Reader(HTMLParser):
    """What a mail program makes of the HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str | None] = []
        self.language: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "a":
            self.links.append(dict(attrs)["href"])
        if tag == "html":
            self.language = dict(attrs)["lang"]


def values_of(template: str, text: str) -> dict[str, str]:
    return {name: LINK if name == "link" else text for name in VALUES[template]}


@pytest.mark.parametrize("template", sorted(VALUES))
@pytest.mark.parametrize("locale", ["en", "en-GB", "de", "de-CH", "DE", "pt-BR", "../secrets"])
def test_it_is_written_in_the_language_or_in_english(template: str, locale: str) -> None:
    """F8, N3."""
    content = render(template, values_of(template, "Zoë"), locale)
    language = "de" if locale.lower().startswith("de") else "en"
    assert content.text.startswith("Guten Tag" if language == "de" else "Hello")
    reader = Reader()
    reader.feed(content.html)
    assert reader.language == language
    assert reader.links == [LINK] * ("link" in VALUES[template])
    assert content.text.count(LINK) == len(reader.links)
    if VALUES[template] - {"link"}:
        assert "Zoë" in content.text
        assert "Zoë" in content.html


@pytest.mark.parametrize("template", sorted(VALUES))
@pytest.mark.parametrize("locale", ["en", "de"])
def test_what_people_type_stays_text(template: str, locale: str) -> None:
    """N3: neither a header nor markup nor a template."""
    content = render(template, values_of(template, EVIL), locale)
    plain = render(template, values_of(template, "Eve"), locale)
    reader, expected = Reader(), Reader()
    reader.feed(content.html)
    expected.feed(plain.html)
    assert reader.tags == expected.tags
    assert "49" not in content.text + content.html + content.subject
    message = build(content, sender="F <f@forms.example>", to="ada@example.org", message_id="<a@b>", date=WHEN)
    assert message["Bcc"] is None
    head = message.as_bytes().partition(b"\n\n")[0]
    assert not [line for line in head.splitlines() if line.lower().startswith(b"bcc")]
    assert [str(message[name]) for name in ("To", "From")] == ["ada@example.org", "F <f@forms.example>"]


def test_there_is_every_template_in_every_language() -> None:
    """One that is missing would be sent in English, one with other values not at all."""
    parser = environment()
    for folder in (FOLDER, FOLDER.joinpath("de")):
        for template, names in VALUES.items():
            used: set[str] = set()
            for part in ("subject.txt", "txt", "html"):
                text = folder.joinpath(f"{template}.{part}.j2").read_text()
                used |= meta.find_undeclared_variables(parser.parse(text))
            assert used == names == set(TEMPLATES[template].variables), template


def test_codes_of_other_contexts_become_words() -> None:
    """U3, N3: letters of second factors are in the tenant's language to the last word."""
    english = render("factor_added", {"name": "Ada", "factor": "phone:…71"})
    german = render("factor_added", {"name": "Ada", "factor": "totp"}, "de")
    assert "The telephone number …71 was added" in english.text
    assert "Anmeldeweg: eine Authenticator-App." in german.text
    assert (
        "20 Formulare"
        in render("quota_exceeded", {"name": "Ada", "tenant": "A", "what": "max_forms", "limit": "20"}, "de").text
    )
