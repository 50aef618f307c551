"""The consumers by name, and whether events can be replayed to them; what they do stands in `serve_app.subscriptions`.

Apart from that page, since a process that hosts contexts need not load every handler to know these.
"""

from collections.abc import Mapping
from typing import Final

CONSUMERS: Final[Mapping[str, bool]] = {
    "analytics": True,
    "files": True,
    "inference": True,
    "notifications": False,
    "screening": False,
    "tenancy": False,
    "webhooks": False,
}
