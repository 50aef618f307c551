"""The templates, and what every page has around its content."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader

from serve_app.edge.form_pages import assets
from serve_app.edge.form_pages.locales import countries
from serve_app.edge.form_pages.texts import Texts

# Hours that clocks somewhere differ from UTC by; None is UTC itself.
OFFSETS: Final = (
    *("-12:00", "-11:00", "-10:00", "-09:30", "-09:00", "-08:00", "-07:00", "-06:00", "-05:00", "-04:00", "-03:30"),
    *("-03:00", "-02:30", "-02:00", "-01:00", None, "+01:00", "+02:00", "+03:00", "+03:30", "+04:00", "+04:30"),
    *("+05:00", "+05:30", "+05:45", "+06:00", "+06:30", "+07:00", "+08:00", "+08:45", "+09:00", "+09:30", "+10:00"),
    *("+10:30", "+11:00", "+12:00", "+12:45", "+13:00", "+13:45", "+14:00"),
)


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("serve_app.web", "form/templates"),
        autoescape=True,
        trim_blocks=True,
        auto_reload=False,
    )


def render(
    template: str,
    t: Texts,
    *,
    style: str = "",
    logo: str = "",
    logo_alt: str = "",
    embedded: bool = False,
    **values: Any,
) -> bytes:
    """A page in the language of `t`; `style` are rules that are sound already."""
    frame: Mapping[str, Any] = {
        "t": t,
        "style": style,
        "logo": logo,
        "logo_alt": logo_alt,
        "embedded": embedded,
        "css": assets.address("/form/form.css"),
        "js": assets.address("/form/form.js"),
        "offsets": OFFSETS,
        "countries": lambda: countries(t.language),
    }
    return _templates().get_template(template).render(**frame, **values).encode()
