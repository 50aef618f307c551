"""TLS to PostgreSQL: the parameters of libpq's URLs, which SQLAlchemy passes on to a driver that has none of them."""

from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from sqlalchemy.engine import URL

_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_OTHERS: Final = ("ssl_min_protocol_version", "ssl_max_protocol_version", "sslnegotiation")


class TlsRefused(ValueError):
    """What a database URL says about TLS cannot be done; the message says why, and shows no password."""


def split_tls(url: URL) -> tuple[URL, dict[str, Any]]:
    """The URL without its parameters of TLS, and the arguments by which the driver gets those.

    `ssl` is another name of `sslmode`. Raises TlsRefused.
    """
    given = {name: value for name, value in url.query.items() if name.startswith("ssl")}
    if not given:
        return url, {}
    tls = {"sslmode" if name == "ssl" else name: _text(name, value) for name, value in given.items()}
    if len(tls) < len(given):
        raise TlsRefused("a database URL has ssl or sslmode, not both")
    if unknown := sorted(set(tls) - {"sslmode", *_FILES, *_OTHERS}):
        raise TlsRefused(f"{', '.join(unknown)} in a database URL is not supported")
    if (mode := tls.get("sslmode")) is not None and mode not in _MODES:
        raise TlsRefused(f"the sslmode of a database URL is one of {', '.join(_MODES)}")
    for name in _FILES:
        if name in tls and not Path(tls[name]).is_absolute():
            raise TlsRefused(f"{name} in a database URL is the path of a file, from the root on")
    # The driver reads them out of an address only, with the files anew for each connection; the rest it gets itself.
    return url.difference_update_query(given), {"dsn": f"postgresql://?{urlencode(tls)}"}


def _text(name: str, value: str | tuple[str, ...]) -> str:
    if not isinstance(value, str):
        raise TlsRefused(f"{name} is in a database URL twice")
    return value
