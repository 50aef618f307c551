"""Backups of a whole platform: made while it serves, restored into an empty place, tried by a drill."""
