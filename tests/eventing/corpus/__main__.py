"""Keep a payload of every new type and version."""

from eventing.events.catalogue import CATALOGUE
from tests.eventing.corpus import file_of, payload_of

for kind in CATALOGUE:
    if not file_of(kind).exists():
        file_of(kind).write_bytes(payload_of(kind))
