"""The PostgreSQL roles that the platform works as; row-level security is told in terms of them."""

from typing import Final

APP_ROLE: Final = "formstream_app"
"""Of units of one tenant: sees that tenant's rows. Owns nothing, has no login and bypasses nothing, as the other."""

SYSTEM_ROLE: Final = "formstream_system"
"""Of unscoped units, which drain queues and look up credentials: sees all rows."""
