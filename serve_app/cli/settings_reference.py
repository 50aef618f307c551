"""The reference of all settings, made from their own descriptions."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import to_json

from serve_app.settings import Settings

_HEAD = """# Settings

Every setting is an environment variable. This page is made by `formstream settings` from the descriptions in
`serve_app/settings.py`.

| Variable | Default | Meaning |
|---|---|---|
"""


def reference() -> str:
    """All settings as a Markdown page."""
    prefix = str(Settings.model_config["env_prefix"])
    return _HEAD + "".join(_row(f"{prefix}{name.upper()}", field) for name, field in Settings.model_fields.items())


def _row(variable: str, field: FieldInfo) -> str:
    meaning = (field.description or "").replace("|", "\\|")
    return f"| `{variable}` | {_shown(field.default)} | {meaning} |\n"


def _shown(default: Any) -> str:
    value = default.get_secret_value() if isinstance(default, SecretStr) else default
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, BaseModel):
        return f"`{value.model_dump_json(exclude_defaults=True)}`"
    if isinstance(value, dict):
        return f"`{to_json(value, exclude_none=True).decode()}`"
    if isinstance(value, Path):
        return f"`{value}`"
    return f"`{value}`" if value != "" else "empty"
