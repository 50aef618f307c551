"""OpenID Connect: providers of tenants, logins that are under way, linked accounts."""
