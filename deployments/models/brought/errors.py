"""Why a model that somebody brought is not taken."""


class Refused(Exception):
    """The model is not taken: a stable dotted code, and a sentence for whoever brought it."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
