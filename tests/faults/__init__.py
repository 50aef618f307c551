"""Z5: the faults of docs/reliability.md, each with real processes that are killed, cut off or starved."""
