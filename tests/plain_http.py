"""A client of plain http builds no trust in certificates, which takes tens of milliseconds each time."""

import ssl

TRUSTS_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
