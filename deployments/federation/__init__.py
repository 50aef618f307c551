"""Logging in with a provider that a tenant trusts (OpenID Connect)."""
