"""Grants per form and invitations to a form."""
