"""TLS to NATS: whom we trust, and what we show."""

import ssl
from pathlib import Path

from eventing.errors import ConnectFailed
from eventing.settings import EventingSettings


def client_context(settings: EventingSettings) -> ssl.SSLContext | None:
    """Trusts the CA of the settings and no other, or the system's without one; holds our certificate where it is set.

    None without an address at tls://. Raises ConnectFailed for a file that cannot be used.
    """
    if "tls://" not in settings.nats_url:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.nats_tls_ca)
    except OSError as error:
        raise ConnectFailed(_unusable("CA", settings.nats_tls_ca, error)) from error
    if settings.nats_tls_cert is not None:
        try:
            # Without a password of ours OpenSSL would ask for that of an encrypted key on the terminal.
            context.load_cert_chain(settings.nats_tls_cert, settings.nats_tls_key, password="")
        except OSError as error:
            files = f"{settings.nats_tls_cert} with the key {settings.nats_tls_key}"
            raise ConnectFailed(_unusable("certificate", files, error)) from error
    return context


def _unusable(what: str, file: Path | str | None, error: OSError) -> str:
    return f"the {what} for NATS, {file}, cannot be used: {error.strerror or error}"
