"""Rate counters that the edges share."""
