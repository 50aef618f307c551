"""Live figures of forms: kept as responses change, read by anybody who looks."""
