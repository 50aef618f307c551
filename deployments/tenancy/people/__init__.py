"""Erasing one person everywhere, with a receipt."""
