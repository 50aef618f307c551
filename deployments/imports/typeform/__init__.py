"""Typeform: forms as its Create API writes them, and responses as its Responses API does."""
