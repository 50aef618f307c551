"""Y1: a theme is readable whatever it says, and what it says cannot become more than a colour."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.edge.form_pages.policy import page_policy, web_address
from serve_app.edge.form_pages.theme import LINE_CONTRAST, TEXT_CONTRAST, contrast, readable_on, style_of

COLOURS = st.from_regex(r"#[0-9a-f]{6}", fullmatch=True)
RULE = re.compile(r"(--[\w-]+): (#[0-9a-f]{6});")
ROOT = re.compile(r":root \{([^}]*)\}")


@given(primary=st.none() | COLOURS, background=st.none() | COLOURS, text=st.none() | COLOURS)
def test_every_pair_of_colours_can_be_read(primary: str | None, background: str | None, text: str | None) -> None:
    """WCAG 2.2, 1.4.3 and 1.4.11."""
    style = style_of({"primary": primary, "background": background, "text": text})
    for block in ROOT.findall(style):
        rules = dict(RULE.findall(block))
        if not rules:
            continue
        for name in ("--ink", "--quiet", "--accent", "--wrong"):
            assert contrast(rules[name], rules["--paper"]) >= TEXT_CONTRAST
        assert contrast(rules["--line"], rules["--paper"]) >= LINE_CONTRAST
        assert contrast(rules["--on-accent"], rules["--accent"]) >= TEXT_CONTRAST


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert (readable_on("#ffee00"), readable_on("#112255")) == ("#000000", "#ffffff")


def test_a_theme_without_wishes_is_the_platforms() -> None:
    assert style_of({}) == ""
    assert style_of({"primary": None, "font": None, "radius": None}) == ""
    assert style_of({"font": "serif", "radius": 2}).count("--") == 2


EVIL = ["red; } body { display: none", "</style><script>", "url(https://evil.example)", "expression(1)", 7, [], {}]


@pytest.mark.parametrize(("name", "value"), list(itertools.product(["primary", "background", "text", "font"], EVIL)))
def test_only_colours_are_colours(name: str, value: object) -> None:
    assert style_of({name: value}) == ""


@pytest.mark.parametrize("radius", ["4px; }", -1, 33, True, float("nan"), None])
def test_only_numbers_are_radii(radius: object) -> None:
    assert style_of({"radius": radius}) == ""


def test_who_may_frame_a_page() -> None:
    assert page_policy().endswith("frame-ancestors 'none'")
    policy = page_policy(ancestors=["https://a.example", "https://b.example:8443", "https://x; script-src *", "null"])
    assert policy.endswith("frame-ancestors https://a.example https://b.example:8443")
    assert page_policy(ancestors=["https://a.example", "*"]).endswith("frame-ancestors *")


def test_a_policy_names_origins_only() -> None:
    policy = page_policy(
        style="a{}", image="https://cdn.example/logo.png", target="https://user@shop.example/thanks?a=b"
    )
    assert "img-src 'self' data: https://cdn.example;" in policy
    assert "form-action 'self' https://shop.example;" in policy
    assert "style-src 'self' 'sha256-" in policy
    assert "unsafe" not in policy
    assert "script-src 'self';" in policy
    assert page_policy(image="https://a.example; script-src *", target="javascript:alert(1)") == page_policy()


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.example",
        "/there",
        "https://a.example/\r\nset-cookie: a=b",
        "https://[",
        "https://ä.example",
        "",
        None,
        7,
    ],
)
def test_what_is_no_web_address(url: object) -> None:
    assert web_address(url) == ""


def test_web_addresses() -> None:
    for url in ("https://a.example/b?c=d#e", "http://localhost:8000/", "HTTPS://A.example"):
        assert web_address(url) == url
