"""What the page may load and who may frame it (Content Security Policy, level 3)."""

import base64
import hashlib
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from deployments.kit.captcha import Provider

_ORIGIN = re.compile(r"https?://[a-zA-Z0-9.-]{1,253}(:\d{1,5})?|https?://\[[0-9a-fA-F:]{2,45}\](:\d{1,5})?")


def page_policy(
    *,
    style: str = "",
    image: str = "",
    target: str = "",
    ancestors: Iterable[str] = (),
    captcha: Provider | None = None,
) -> str:
    """The policy of a page: only files of the platform, what it says itself, and what a captcha needs.

    `style` is the text of its one style element, `image` the address of its logo, `target` where its form may lead
    beside the platform, `ancestors` the origins that may frame it, `*` among them for any.
    """
    styles = f"'self' '{_digest(style)}'" if style else "'self'"
    images = " ".join(("'self'", "data:", *_origins((image,))))
    targets = " ".join(("'self'", *_origins((target,))))
    frames = tuple(ancestors)
    framed = "*" if "*" in frames else " ".join(_origins(frames)) or "'none'"
    scripts = " ".join(("'self'", *(captcha.scripts if captcha else ())))
    asked = " ".join(("'self'", *(captcha.frames if captcha else ())))
    inner = f"frame-src {' '.join(captcha.frames)}; " if captcha else ""
    return (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; img-src {images}; connect-src {asked}; {inner}"
        f"form-action {targets}; base-uri 'none'; frame-ancestors {framed}"
    )


def web_address(url: object) -> str:
    """The address if it is one of http or https that a header can hold, else nothing."""
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        return ""
    return url if _origins((url,)) else ""


def _origins(urls: Iterable[str]) -> tuple[str, ...]:
    """The origins of addresses; of what is no http or https address, none."""
    found = []
    for url in urls:
        try:
            parts = urlsplit(url)
        except ValueError:
            continue
        origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        if _ORIGIN.fullmatch(origin):
            found.append(origin)
    return tuple(dict.fromkeys(found))


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
