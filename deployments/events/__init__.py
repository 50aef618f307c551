"""What happened in a tenant: the types of events, the log of them, and following them."""
