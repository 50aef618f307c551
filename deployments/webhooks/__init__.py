"""Webhooks: telling a customer's endpoint what happened, signed, until it has heard."""
