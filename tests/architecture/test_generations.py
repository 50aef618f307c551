"""While two versions run, the newer one says what consumers get (eventing/streams.py): which it is has to be known."""

import asyncio
import hashlib
from pathlib import Path

from db.session import Database
from db.settings import DatabaseSettings
from eventing.streams import GENERATION
from serve_app.settings import Settings
from serve_app.subscriptions import subscriptions

# Of the consumers and the types that each reacts to, by the generation.
DIGESTS = {1: "be0f6bd083c6c595"}


def test_who_reacts_to_something_else_is_of_another_generation(tmp_path: Path) -> None:
    """It has changed? Raise GENERATION, and add the digest."""
    database = Database(DatabaseSettings(url=f"sqlite:///{tmp_path / 'unused.db'}"))
    found = sorted((each.name, sorted(each.types)) for each in subscriptions(database, Settings(secret_key="s" * 32)))
    asyncio.run(database.close())
    assert hashlib.sha256(repr(found).encode()).hexdigest()[:16] == DIGESTS[GENERATION]
    assert max(DIGESTS) == GENERATION
