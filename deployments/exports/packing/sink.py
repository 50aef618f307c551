"""The end of a file that is written front to back and taken away at once."""


class Sink:
    """What a writer takes for a file. It cannot seek, and holds only what was not taken yet."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._written = 0
        self.closed = False

    def write(self, content: bytes) -> int:
        """Append."""
        piece = bytes(content)
        self._pieces.append(piece)
        self._written += len(piece)
        return len(piece)

    def tell(self) -> int:
        """How much was written, in bytes."""
        return self._written

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """No more is written."""
        self.closed = True

    def readable(self) -> bool:
        """It is written only."""
        return False

    def writable(self) -> bool:
        """It is written only."""
        return True

    def seekable(self) -> bool:
        """What was taken cannot be gone back to."""
        return False
