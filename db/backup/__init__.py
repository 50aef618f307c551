"""A whole database, all tenants, taken at one moment and put back into an empty place."""
