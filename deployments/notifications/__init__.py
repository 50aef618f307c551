"""Notifications: messages that people receive because something happened."""
