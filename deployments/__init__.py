"""The bounded contexts: what is decided. They meet only through their contracts."""
