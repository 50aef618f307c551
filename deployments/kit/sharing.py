"""Whether several tenants wait at the same place: one rule for the queues of edges, writes, events and jobs."""

from db.sharing import Sharing

__all__ = ["Sharing"]
