"""What a command says when it cannot do its work."""

from typing import Final

SPEAKER: Final = "formstream: "
"""Before each sentence on stderr."""


class CommandFailed(Exception):
    """The command ends with a non-zero exit code; each sentence is shown on a line of its own, without a traceback."""

    def __init__(self, *sentences: str) -> None:
        super().__init__(*sentences)
        self.sentences = sentences
