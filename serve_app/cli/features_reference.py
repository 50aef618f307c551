"""The reference of a tenant's switches, made from the table that is asked."""

from deployments.kit.features import FEATURES, Feature

_HEAD = """# Features

What is switched on and off for a tenant, in `settings.features`: by platform administrators, and what is the tenant's
own by its administrators too. What is switched off answers 403 `feature.disabled`. This page is made by
`formstream features` from `deployments/kit/features.py`.

| Feature | Default | Own | What it is |
|---|---|---|---|
"""


def reference() -> str:
    """All features as a Markdown page."""
    return _HEAD + "".join(_row(name, feature) for name, feature in FEATURES.items())


def _row(name: str, feature: Feature) -> str:
    return f"| `{name}` | {'on' if feature.default else 'off'} | {'yes' if feature.own else ''} | {feature.purpose} |\n"
