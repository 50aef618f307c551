"""Why a backup cannot be made, used or restored."""

from serve_app.cli.failure import CommandFailed


class BackupFailed(CommandFailed):
    """There is no new backup; what was there before is."""


class BackupUnusable(CommandFailed):
    """A backup is not what was made, or cannot be opened; nothing was touched."""


class RestoreRefused(CommandFailed):
    """The place is not one that the backup can be restored into; nothing was touched."""


class RestoreFailed(CommandFailed):
    """The restore did not come to its end; run again, it does."""
