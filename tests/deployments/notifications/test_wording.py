"""N2: what tenants may write in mails, and that nothing which they or others write gets further than text."""

from typing import Any

import pytest

from deployments.notifications.catalogue import TEMPLATES, mail_kind, samples
from deployments.notifications.message import Brand, built_in, languages_of, render
from deployments.notifications.wording import MAX_RENDERED, TooLong, Wording, faults_of, fill

NOTIFICATION = TEMPLATES["response_notification"]
EVIL = "<script>alert(1)</script>\r\nBcc: all@example.org \"'> {{ 7 * 7 }}"


def faults(text: str, part: str = "text", name: str = "response_notification") -> list[tuple[str, str]]:
    wording = {"subject": "S", "text": "T", "html": None} | {part: text}
    return [(fault.code, fault.detail) for fault in faults_of(Wording(**wording), mail_kind(name))]  # type: ignore[arg-type]


class TestChecking:
    @pytest.mark.parametrize(
        ("name", "language"), [(name, language) for name in TEMPLATES for language in languages_of(name)]
    )
    def test_what_the_platform_says_is_within_the_language(self, name: str, language: str) -> None:
        """Whoever begins with the words there are can save them."""
        wording = built_in(name, language)
        assert wording is not None
        assert wording.html is not None
        assert faults_of(wording, TEMPLATES[name]) == ()
        shown = render(name, samples(name), language, own={language: wording})
        assert shown.text == render(name, samples(name), language).text

    def test_an_unknown_variable_is_named_with_its_place(self) -> None:
        ((code, detail),) = faults("Hello,\nthe form {{ form_titel }}\n")
        assert code == "template.variable"
        assert detail.startswith("line 2, column 13: there is no variable 'form_titel'; there are answers, form_title")

    def test_all_faults_come_at_once(self) -> None:
        found = faults_of(Wording("{{ a }}", "{{ b }}\n{{ c | d }}", "<p>{{ e }}</p>"), NOTIFICATION)
        assert [fault.pointer for fault in found] == ["/subject", "/text", "/text", "/html"]

    @pytest.mark.parametrize(
        "text",
        [
            *(
                "{{ ''.__class__.__mro__ }}",
                "{{ form_title.__class__ }}",
                "{{ form_title['x'] }}",
                "{{ form_title() }}",
            ),
            *("{{ 'a' * 999999999 }}", "{{ 7 * 7 }}", "{{ range(9) }}", "{% for x in range(9) %}{% endfor %}"),
            *("{% include 'letter.html.j2' %}", "{% import 'x' as y %}", "{% extends 'letter.html.j2' %}"),
            *("{% set form_title = 1 %}", "{% macro a() %}{% endmacro %}", "{% block a %}{% endblock %}"),
            *("{{ form_title | attr('x') }}", "{{ form_title | indent(999999999) }}", "{{ form_title | map }}"),
            "{% for q, a in answers %}{% for b, c in answers %}{{ b }}{% endfor %}{% endfor %}",
            "{% for q, a in answers recursive %}{% endfor %}",
            "{% for q in answers %}{{ q }}{% endfor %}",
            "{% for q, a in answers if q %}{% endfor %}",
            "{% for q, a in answers %}{{ loop.index }}{% endfor %}",
            "{% if form_title > 'a' %}{% endif %}",
            *("{{ form_title", "{% if %}", "{{ form_title }", "{{ answers }}", "{{ submitted_at }}"),
            *("{{ self }}", "{{ config }}", "{{ form_title ~ form_title }}", "{{ form_title if 1 else 2 }}"),
            *("{{ '" + "(" * 2_000, "{{ " + "(" * 5_000, "{% if form_title %}" * 300, "\ue0000\ue000"),
            "{% for q, a in answers %}{% endfor %}" * 6,
        ],
    )
    def test_nothing_else_is_taken(self, text: str) -> None:
        """N2: neither ways out of the sandbox nor ways to keep it busy."""
        assert faults(text)

    @pytest.mark.parametrize(
        "html",
        [
            *("<a href='{{ form_title }}'>x</a>", "<a title={{ link }}>x</a>", "<a href='x{{ link }}'>x</a>"),
            *("<p {{ name }}>", "<{{ name }}>", "<p class='{{ name }}'>", "<script>{{ name }}</script>"),
            *(
                "<style>{{ name }}</style>",
                "<!-- {{ name }} -->",
                "<p onclick='x()'>x</p>",
                "<script src='x'></script>",
            ),
            *("<a href='java\nscript:x()'>x</a>", "<iframe></iframe>", "<a href='{{ link }}>x</a>", "<form></form>"),
            *("<{% if name %}x{% endif %}style>{{ name }}</style>", "</{{ name }}>", "<!{{ name }}>", "<p"),
            '<a {% if name %}href="{{ link }}"{% endif %}>x</a>',
            '{% if name %}<a href="{% endif %}{{ name }}',
            "{% if name %}x{% else %}<a title='{{ name }}'>x</a>{% endif %}",
            "<a href='{{ link | upper }}'>x</a>",
        ],
    )
    def test_a_variable_in_markup_is_text_or_a_whole_address(self, html: str) -> None:
        assert faults(html, "html", "form_request")

    def test_what_a_mail_is_for_cannot_be_left_out(self) -> None:
        wording = Wording("Reset", "We will not tell you how.", '<a href="{{ link }}">x</a>')
        (fault,) = faults_of(wording, TEMPLATES["password_reset"])
        assert (fault.pointer, fault.code) == ("/text", "template.missing_variable")

    def test_conditions_and_loops(self) -> None:
        text = (
            "{% if name == 'Ada' and not submitted_at %}Dear{% else %}Hi{% endif %} {{ name | upper }}\n"
            "{% for q, a in answers %}{{ q }}: {{ a | trim }};{% else %}-{% endfor %}"
        )
        assert faults(text, name="form_request") == []
        values: dict[str, Any] = {"name": "Ada", "submitted_at": None, "answers": [("Q", " A ")]}
        assert fill(text, values) == "Dear ADA\nQ: A;"
        assert fill(text, values | {"name": "Bob", "answers": []}) == "Hi BOB\n-"


class TestRendering:
    def test_what_people_answer_stays_text(self) -> None:
        values = {"form_title": EVIL, "submitted_at": None, "answers": [(EVIL, EVIL)]}
        html = "<h2>{{ form_title }}</h2>{% for q, a in answers %}<p>{{ q }}: {{ a }}</p>{% endfor %}"
        for own in (
            Wording("{{ form_title }}", "{{ form_title }}", html),
            Wording("{{ form_title }}", "{{ form_title }}"),
        ):
            content = render("response_notification", values, "en", own={"": own})
            assert "\n" not in content.subject
            assert "<script>" not in content.html
            assert "&lt;script&gt;" in content.html
            assert "49" not in content.html + content.text + content.subject

    def test_no_mail_becomes_endless(self) -> None:
        values = {"form_title": "x" * (MAX_RENDERED // 10)}
        with pytest.raises(TooLong):
            fill("{{ form_title }}" * 11, values)

    def test_the_first_language_with_words_is_taken(self) -> None:
        """N2, F8: the tenant's words for the language, for all languages, then the platform's; then the next."""
        values = samples("form_request")

        def subject(*languages: str, **own: str) -> str:
            words = {name.replace("_", "-").replace("any", ""): Wording(text, "T") for name, text in own.items()}
            return render("form_request", values, languages, own=words).subject

        assert subject("de-AT", de="own de", de_at="own de-at") == "own de-at"
        assert subject("de-AT", de="own de", any="own") == "own de"
        assert subject("de-AT", en="own en") == "Summer party"
        assert subject("fr", "de", any="own") == "own"
        assert subject("fr", "en", en="own en") == "own en"
        assert render("form_request", values, ["fr", "de-CH"]).text.startswith("Guten Tag")
        assert render("form_request", values, ["fr"]).text.startswith("Hello")
        assert render("newsletter", values, ["fr"], own={"it": Wording("Ciao", "T")}).subject == "Ciao"

    def test_the_tenants_looks_and_the_way_out(self) -> None:
        brand = Brand(name="Acme", logo_url="https://acme.example/logo.png", colour="#123456")
        for own in ({}, {"": Wording("S", "Go to {{ link }}")}):
            content = render(
                "form_request",
                samples("form_request"),
                "de",
                own=own,
                brand=brand,
                unsubscribe_url="https://f.example/u",
            )
            assert 'src="https://acme.example/logo.png" alt="Acme"' in content.html
            assert "#123456" in content.html
            assert content.html.count('href="https://f.example/u"') == 1
            assert content.text.endswith("Abbestellen: https://f.example/u\n")
            assert content.html.count('<a href="https://forms.example.com/f/acme/party?name=Ada">') == 1
