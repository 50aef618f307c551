"""The rules of webhooks: who gets which event, how it is sent, and what an attempt changes."""
