"""Barriers on a page, as axe-core finds them (WCAG 2.2 AA and its authors' best practices)."""

from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from tests.chromium import Page

_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def _axe() -> str:
    carrier = distribution("axe-playwright-python")
    return Path(str(carrier.locate_file("axe_playwright_python/axe.min.js"))).read_text(encoding="utf-8")


async def barriers(page: Page) -> list[str]:
    """What axe-core finds on the page as it is now: rule, severity and elements."""
    await page.value(_axe() + ";void 0")
    options = {"runOnly": {"type": "tag", "values": _TAGS}, "resultTypes": ["violations"]}
    found: list[dict[str, Any]] = await page.value(f"axe.run(document, {options}).then((r) => r.violations)")
    return [f"{each['id']} ({each['impact']}): {[node['html'][:160] for node in each['nodes']][:5]}" for each in found]
