"""N3: every letter about an account, in every language, whatever people call themselves."""

from datetime import UTC, datetime
from html.parser import HTMLParser
from importlib import resources

import pytest
from jinja2 import Environment, meta

from deployments.notifications.message import build, render

TEMPLATES = resources.files("deployments.notifications").joinpath("templates")
VALUES = {
    "email_verification": {"link"},
    "email_change": {"link"},
    "email_changed": {"name", "email"},
    "password_reset": {"name", "link"},
    "password_changed": {"name"},
    "invitation": {"inviter", "tenant", "link"},
    "form_invitation": {"inviter", "tenant", "form", "link"},
    "account_locked": {"name"},
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
    environment = Environment(autoescape=True)
    for folder in (TEMPLATES, TEMPLATES.joinpath("de")):
        for template, names in VALUES.items():
            used: set[str] = set()
            for part in ("subject.txt", "txt", "html"):
                text = folder.joinpath(f"{template}.{part}.j2").read_text()
                used |= meta.find_undeclared_variables(environment.parse(text))
            assert used == names, template
