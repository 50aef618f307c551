"""One-time codes, authenticator apps and recovery codes."""
