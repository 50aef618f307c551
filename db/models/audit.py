"""Who did what: entries chained by hash, one chain for each tenant."""
