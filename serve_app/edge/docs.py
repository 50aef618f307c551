"""The page that shows the API document: Swagger UI from an installed wheel, so that it needs no network."""

from functools import cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

# Swagger UI sets style attributes and draws its icons from data URLs; scripts come from here only.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".png": "image/png",
}
_OWN = ("docs.html", "docs.js")

ASSETS = (
    ("/api/v1/docs", "docs.html"),
    ("/api/v1/docs/docs.js", "docs.js"),
    ("/api/v1/docs/swagger-ui-bundle.js", "swagger-ui-bundle.js"),
    ("/api/v1/docs/swagger-ui.css", "swagger-ui.css"),
    ("/api/v1/docs/favicon.png", "favicon.png"),
)
"""Path and file of everything that the page needs."""


@cache
def asset(name: str) -> tuple[bytes, str]:
    """The content and media type of one of the files."""
    media_type = _TYPES[Path(name).suffix]
    if name in _OWN:
        return resources.files("serve_app.web").joinpath(name).read_bytes(), media_type
    # The package is only a carrier of files: importing it would bring in a second web framework.
    spec = find_spec("fastapi_offline")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(name)
    return (Path(spec.origin).parent / "static" / name).read_bytes(), media_type
