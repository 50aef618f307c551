"""What the settings of a form say about its pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployments.forms.contracts import PublishedForm
from deployments.kit.captcha import PROVIDERS, CaptchaWidget, Provider
from serve_app.edge.form_pages.policy import page_policy, web_address
from serve_app.edge.form_pages.theme import style_of


@dataclass(frozen=True, slots=True)
class Appearance:
    """The look of a form's pages, and where it leads when it is sent."""

    style: str
    logo: str
    logo_alt: str
    message: str
    target: str
    progress: bool
    ancestors: tuple[str, ...]
    captcha: CaptchaWidget | None = None

    @classmethod
    def of(cls, published: PublishedForm, allowed_origins: Sequence[str], language: str) -> "Appearance":
        """What the public part of a form's settings says; what it leaves out is the platform's own look."""
        settings = published.model_dump(mode="json")
        theme: Mapping[str, Any] = settings.get("theme") or {}
        confirmation: Mapping[str, Any] = settings.get("confirmation") or {}
        logo = web_address(theme.get("logo_url"))
        return cls(
            style=style_of(theme),
            logo=logo,
            logo_alt=text_in(theme.get("logo_alt"), language) if logo else "",
            message=text_in(confirmation.get("message"), language),
            target=web_address(confirmation.get("redirect_url")),
            progress=settings.get("show_progress") is not False,
            ancestors=tuple(allowed_origins),
            captcha=published.captcha,
        )

    def policy(self) -> str:
        """The Content-Security-Policy of the form's pages."""
        return page_policy(
            style=self.style, image=self.logo, target=self.target, ancestors=self.ancestors, captcha=self.provider
        )

    @property
    def provider(self) -> Provider | None:
        """Who tells people from programs here, if somebody does."""
        return None if self.captcha is None else PROVIDERS[self.captcha.provider]


def text_in(text: object, language: str) -> str:
    """A text of the settings in a language: they hold one text, or one for each language."""
    if isinstance(text, Mapping):
        root = language.partition("-")[0]
        found = text.get(language) or text.get(root) or next(iter(text.values()), "")
        return str(found)
    return text if isinstance(text, str) else ""
