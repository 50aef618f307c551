"""Those who tell people from programs, as far as several contexts need to know them."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from deployments.kit.contract import Contract

ProviderName: TypeAlias = Literal["turnstile", "hcaptcha", "recaptcha"]


@dataclass(frozen=True, slots=True)
class Provider:
    """Where a provider is asked, and what of it a page shows: its script, the class of its box, the name of the field
    that it adds to the form, and the sources that a policy has to allow (CSP)."""

    verify_url: str
    script: str
    box: str
    field: str
    scripts: tuple[str, ...]
    frames: tuple[str, ...]


PROVIDERS: Final[dict[ProviderName, Provider]] = {
    "turnstile": Provider(
        verify_url="https://challenges.cloudflare.com/turnstile/v0/siteverify",
        script="https://challenges.cloudflare.com/turnstile/v0/api.js",
        box="cf-turnstile",
        field="cf-turnstile-response",
        scripts=("https://challenges.cloudflare.com",),
        frames=("https://challenges.cloudflare.com",),
    ),
    "hcaptcha": Provider(
        verify_url="https://api.hcaptcha.com/siteverify",
        script="https://js.hcaptcha.com/1/api.js",
        box="h-captcha",
        field="h-captcha-response",
        scripts=("https://hcaptcha.com", "https://*.hcaptcha.com"),
        frames=("https://hcaptcha.com", "https://*.hcaptcha.com"),
    ),
    "recaptcha": Provider(
        verify_url="https://www.google.com/recaptcha/api/siteverify",
        script="https://www.google.com/recaptcha/api.js",
        box="g-recaptcha",
        field="g-recaptcha-response",
        scripts=("https://www.google.com/recaptcha/", "https://www.gstatic.com/recaptcha/"),
        frames=("https://www.google.com/recaptcha/", "https://recaptcha.google.com/recaptcha/"),
    ),
}


class CaptchaWidget(Contract):
    """What a page needs to show a captcha; the token that it gives goes into `captcha_token` of the submission."""

    provider: ProviderName
    site_key: str
