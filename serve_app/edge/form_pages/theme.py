"""A form's theme as style rules that stay readable, whatever colours were chosen (WCAG 2.2, 1.4.3 and 1.4.11)."""

import re
from collections.abc import Mapping
from typing import Any, Final

ACCENT: Final = "#2952cc"
INK: Final = "#1b2130"
PAPER: Final = "#ffffff"
DARK_ACCENT: Final = "#9db5ff"
DARK_INK: Final = "#eef1f7"
DARK_PAPER: Final = "#171b24"

WRONG: Final = "#b3261e"

TEXT_CONTRAST: Final = 4.5
LINE_CONTRAST: Final = 3.0

_COLOUR: Final = re.compile(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_FONTS: Final = {
    "system": "system-ui, sans-serif",
    "sans": "system-ui, sans-serif",
    "serif": "Georgia, 'Times New Roman', serif",
    "mono": "ui-monospace, monospace",
    "rounded": "ui-rounded, 'Hiragino Maru Gothic ProN', Quicksand, system-ui, sans-serif",
}
_MOST_RADIUS = 32


def style_of(theme: Mapping[str, Any]) -> str:
    """The style rules of a theme; empty for none. What is not a colour, a known font or a number is not looked at."""
    accent, paper = _colour(theme, "primary"), _colour(theme, "background")
    ink = _colour(theme, "text")
    rules = {}
    if font := _FONTS.get(str(theme.get("font"))):
        rules["--font"] = font
    radius = theme.get("radius")
    if isinstance(radius, int | float) and not isinstance(radius, bool) and 0 <= radius <= _MOST_RADIUS:
        rules["--radius"] = f"{radius:g}px"
    light = rules | _colours(accent or ACCENT, paper or PAPER, ink or INK) if accent or paper or ink else rules
    if not light:
        return ""
    style = _block(":root", light)
    if paper or ink:
        # Own colours of paper or ink are one scheme: a dark one would be a guess.
        scheme = "light" if _luminance(paper or PAPER) > _luminance(light["--ink"]) else "dark"
        return style + _block(":root", {"color-scheme": f"only {scheme}"})
    if accent:
        dark = _block(":root", _colours(accent, DARK_PAPER, DARK_INK))
        style += f"@media (prefers-color-scheme: dark) {{ {dark} }}"
    return style


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def readable_on(ground: str) -> str:
    """Black or white, whichever stands out more."""
    return max("#000000", "#ffffff", key=lambda colour: contrast(colour, ground))


def readable(colour: str, ground: str, ratio: float = TEXT_CONTRAST) -> str:
    """The colour, mixed with black or white just as far as its contrast to `ground` asks for."""
    end = readable_on(ground)
    for step in range(21):
        mixed = _mixed(colour, end, step / 20)
        if contrast(mixed, ground) >= ratio:
            return mixed
    return end


def _colours(accent: str, paper: str, ink: str) -> dict[str, str]:
    ink, accent = readable(ink, paper), readable(accent, paper)
    return {
        "--paper": paper,
        "--ink": ink,
        "--quiet": readable(_mixed(ink, paper, 0.3), paper),
        "--line": readable(_mixed(ink, paper, 0.55), paper, LINE_CONTRAST),
        "--wash": _mixed(paper, ink, 0.04),
        "--accent": accent,
        "--on-accent": readable_on(accent),
        "--wrong": readable(WRONG, paper),
    }


def _mixed(one: str, other: str, share: float) -> str:
    pairs = zip(_channels(one), _channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _block(selector: str, rules: Mapping[str, str]) -> str:
    return f"{selector} {{ " + " ".join(f"{name}: {value};" for name, value in rules.items()) + " }"


def _colour(theme: Mapping[str, Any], name: str) -> str | None:
    value = theme.get(name)
    if not isinstance(value, str) or _COLOUR.fullmatch(value) is None:
        return None
    return "#" + "".join(f"{channel:02x}" for channel in _channels(value))


def _channels(colour: str) -> tuple[int, int, int]:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)


def _luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2, glossary)."""
    shares = (channel / 255 for channel in _channels(colour))
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
