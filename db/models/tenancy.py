"""The life cycle of tenants: usage, exports, erasure."""
