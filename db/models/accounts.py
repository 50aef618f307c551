"""What accounts need beside their row: tokens sent by mail, invitations, login attempts."""
