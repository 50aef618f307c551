"""A4: snippets may say answers, and nothing else."""

import pytest

from deployments.inference.filling import MAX_FILLED, faults_of, fill, plain


@pytest.mark.parametrize(
    "text",
    [
        "Plain.",
        "Dear {{ answers.name }}",
        "Dear {{ answers.name | default('you') | upper }}",
        "{% if answers.vip %}Gold{% elif form_title %}Silver{% else %}None{% endif %} {{ response_id }}",
    ],
)
def test_what_snippets_may_say(text: str) -> None:
    assert faults_of(text) == ()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{{ answers.name", "snippet.syntax"),
        ("{{ answers.name.first }}", "snippet.forbidden"),
        ("{{ answers.__class__ }}", "snippet.forbidden"),
        ("{{ answers['name'] }}", "snippet.forbidden"),
        ("{{ answers }}", "snippet.forbidden"),
        ("{{ secret }}", "snippet.unknown"),
        ("{{ 7 * 7 }}", "snippet.forbidden"),
        ("{{ answers.items() }}", "snippet.forbidden"),
        ("{% for a in answers %}{% endfor %}", "snippet.forbidden"),
        ("{% set a = 1 %}", "snippet.forbidden"),
        ("{% include 'x' %}", "snippet.forbidden"),
        ("{{ answers.a | attr('b') }}", "snippet.forbidden"),
        ("{{ answers.a | default }}", "snippet.forbidden"),
        ("{{ answers.a | default(answers.b) }}", "snippet.forbidden"),
        ("{{ answers.a | upper('x') }}", "snippet.forbidden"),
        ("{% filter upper %}a{% endfilter %}", "snippet.forbidden"),
        ("{% if 1 == 1 %}a{% endif %}", "snippet.forbidden"),
        ("{% if a %}" * 12 + "{% endif %}" * 12, "snippet.unknown"),
    ],
)
def test_what_snippets_may_not(text: str, code: str) -> None:
    assert faults_of(text)[0].code == code


def test_every_fault_is_named_with_its_line() -> None:
    faults = faults_of("{{ one }}\n{{ two }}\nfine\n{{ answers.x.y }}")
    assert [fault.detail.split(":")[0] for fault in faults] == ["line 1", "line 2", "line 4"]


def test_answers_are_said_and_what_is_missing_is_told() -> None:
    text = "Dear {{ answers.name }} ({{ answers.mail | default('no address') }}), {{ form_title }}: {{ answers.no }}."
    filled = fill(text, {"name": "{{ answers.secret }} Ada"}, {"form_title": "Party"})
    assert filled.text == "Dear {{ answers.secret }} Ada (no address), Party: [no]."
    assert filled.missing == ("no",)
    assert fill("{% if answers.vip %}a{% else %}b{% endif %}", {}, {}).missing == ()


def test_what_is_filled_in_has_a_bound() -> None:
    assert len(fill("{{ answers.a }}" * 600, {"a": "x" * 1_000}, {}).text) == MAX_FILLED


def test_words_without_placeholders() -> None:
    assert plain("Dear {{ answers.name }}, thank you{% if answers.a %} much{% endif %}!") == "Dear  , thank you  much !"
