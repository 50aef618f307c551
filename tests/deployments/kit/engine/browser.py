"""The evaluator of the browser, in a browser."""

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from deployments.kit.engine import CompiledForm, Decision
from deployments.kit.engine.expressions.functions import same
from tests.architecture.rooms import ROOT
from tests.chromium import chromium

LOGIC = ROOT / "serve_app" / "web" / "form" / "logic.js"

Case = tuple[CompiledForm, dict[str, Any], str]
"""A form, answers in their normal form, and the time."""

_DECIDE_ALL = """
(async () => {
  const {decide} = await import(%s);
  const cases = JSON.parse(%s);
  return JSON.stringify(cases.map(([logic, answers, now]) => {
    const {visible, pages, required, values, faults} = decide(logic, answers, now);
    return {visible: [...visible].sort(), pages, required: [...required].sort(), values, faults};
  }));
})()
"""


async def decided_in_browser(cases: Iterable[Case], folder: Path) -> list[dict[str, Any]]:
    """What logic.js decides in a real browser, in one page."""
    module = "data:text/javascript;base64," + base64.b64encode(LOGIC.read_bytes()).decode()
    sent = json.dumps([[form.logic(), answers, now] for form, answers, now in cases])
    async with chromium(folder) as page:
        text = await page.value(_DECIDE_ALL % (json.dumps(module), json.dumps(sent)))
    found: list[dict[str, Any]] = json.loads(text)
    return found


def as_document(decision: Decision) -> dict[str, Any]:
    """What the server decides, in the shape of the browser's answer."""
    return {
        "visible": sorted(decision.visible),
        "pages": list(decision.pages),
        "required": sorted(decision.required),
        "values": dict(decision.values),
        "faults": [{"pointer": fault.pointer, "code": fault.code, "detail": fault.detail} for fault in decision.faults],
    }


def agree(left: object, right: object) -> bool:
    """Whether two documents are the same, down to whether something is a number or a truth."""
    return same(_doubles(left), _doubles(right))


def _doubles(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _doubles(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_doubles(item) for item in value]
    return float(value) if type(value) is int else value
