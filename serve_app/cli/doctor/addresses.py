"""Addresses: where the edge listens, what browsers call it, who stands in front of it, whom it may call."""

import re
from collections.abc import Iterator
from email.utils import parseaddr
from ipaddress import IPv4Network, ip_network
from typing import Final
from urllib.parse import urlsplit

import httpx

from serve_app.cli.doctor.finding import Finding, doubtful, fine, wrong
from serve_app.cli.doctor.installation import Installation, is_local
from serve_app.cli.failure import CommandFailed
from serve_app.cli.preflight import check_address
from serve_app.settings import Settings

_ORIGIN: Final = re.compile(r"https://[a-z0-9.-]+(:\d+)?|http://(localhost|127\.0\.0\.1)(:\d+)?")
_METADATA: Final = IPv4Network("169.254.169.254/32")
"""Where clouds tell a machine its own credentials."""
_ASK_S: Final = 2.0


async def examine(installation: Installation) -> list[Finding]:
    """Look at the addresses of the settings."""
    settings = installation.settings
    return [
        await port(settings),
        public_url(settings),
        trusted_proxies(settings),
        origins(settings),
        sender(settings),
        *egress(settings),
    ]


async def port(settings: Settings) -> Finding:
    """Free, or ours already."""
    name = "address.port"
    try:
        check_address(settings.host, settings.port)
    except CommandFailed as error:
        if await _is_ours(settings):
            return fine(name, f"The platform answers at port {settings.port}.")
        return wrong(name, error.sentences[0], "Set FORMSTREAM_HOST and FORMSTREAM_PORT.")
    return fine(name, f"Port {settings.port} on {settings.host} is free.")


async def _is_ours(settings: Settings) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    url = f"http://[{host}]" if ":" in host else f"http://{host}"
    async with httpx.AsyncClient(timeout=_ASK_S, trust_env=False) as client:
        try:
            answer = await client.get(f"{url}:{settings.port}/health")
        except httpx.HTTPError:
            return False
    return "x-api-version" in answer.headers


def public_url(settings: Settings) -> Finding:
    """Links in mails lead there, and cookies are only Secure with https."""
    name = "address.public-url"
    host = urlsplit(settings.public_url).hostname
    cure = "Set FORMSTREAM_PUBLIC_URL to the https:// origin that people's browsers use."
    if not settings.public_url and not is_local(settings.host):
        return wrong(name, f"Links in mails will lead to {settings.origin()}, which nobody else can open.", cure)
    if settings.public_url.startswith("http:") and not is_local(host):
        return wrong(name, f"{settings.public_url} has no TLS: passwords and answers travel in plain.", cure)
    return fine(name, f"People reach it at {settings.origin()}.")


def trusted_proxies(settings: Settings) -> Finding:
    """The edge speaks plain HTTP: with https somebody is in front of it, without nobody may pretend to be."""
    name = "address.trusted-proxies"
    if settings.public_url.startswith("https:") and not settings.trusted_proxies:
        return wrong(
            name,
            "Behind the TLS proxy every client has its address: limits of one address hold for all of them.",
            "Set FORMSTREAM_TRUSTED_PROXIES to the number of proxies, usually 1.",
        )
    if settings.trusted_proxies and not is_local(settings.host) and not settings.public_url.startswith("https:"):
        return wrong(
            name,
            "Clients can reach the edge without a proxy and say in X-Forwarded-For that they are somebody else.",
            "Set FORMSTREAM_TRUSTED_PROXIES=0, or put the proxy in front and set FORMSTREAM_PUBLIC_URL.",
        )
    return fine(name, f"{settings.trusted_proxies or 'No'} proxies are trusted.")


def origins(settings: Settings) -> Finding:
    """Pages of these origins may do with a person's session what that person may."""
    name = "address.console-origins"
    given = [part.strip() for part in settings.console_origins.split(",") if part.strip()]
    for origin in given:
        if not _ORIGIN.fullmatch(origin):
            return wrong(
                name,
                f"{origin} in FORMSTREAM_CONSOLE_ORIGINS is no origin with TLS.",
                "Write https://host, without a path or a slash at the end, and no *.",
            )
    return fine(name, f"{len(given) or 'No'} other origins use cookies.")


def sender(settings: Settings) -> Finding:
    """Mail from localhost is refused or lost nearly everywhere."""
    name = "mail.sender"
    server = urlsplit(settings.smtp_url.get_secret_value()).hostname
    domain = parseaddr(settings.mail_from)[1].rpartition("@")[2]
    if server and not is_local(server) and ("." not in domain or domain.endswith((".local", ".localhost", ".invalid"))):
        return doubtful(
            name,
            f"Mails come from {settings.mail_from}, which receivers will not take.",
            "Set FORMSTREAM_MAIL_FROM to an address of a domain that your mail server sends for (SPF, DKIM).",
        )
    return fine(name, f"Mails come from {settings.mail_from}.")


def egress(settings: Settings) -> Iterator[Finding]:
    """Tenants choose where webhooks go, so what is allowed is allowed to all of them."""
    name = "webhooks.egress"
    networks = []
    for text in settings.egress_networks():
        try:
            networks.append(ip_network(text))
        except ValueError:
            return  # said already, with the settings
    open_wide = [each for each in networks if each.prefixlen == 0]
    reaching = [each for each in networks if isinstance(each, IPv4Network) and each.supernet_of(_METADATA)]
    if open_wide or reaching:
        yield wrong(
            name,
            f"FORMSTREAM_EGRESS_ALLOW={settings.egress_allow} lets tenants read this machine's cloud credentials.",
            "Name only the networks that receivers of webhooks are in.",
        )
    elif any(each.is_loopback for each in networks) and settings.public_url.startswith("https:"):
        yield doubtful(
            name,
            "FORMSTREAM_EGRESS_ALLOW has this machine's own addresses: tenants may call what listens there.",
            "Take 127.0.0.0/8 out of it; it is meant for trying webhooks out.",
        )
    else:
        yield fine(name, f"Webhooks go to public addresses{' and ' + settings.egress_allow if networks else ''}.")
