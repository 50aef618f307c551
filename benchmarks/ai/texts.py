"""Many answers out of real ones: the texts of Banking77's training part, repeated with variation."""

import csv
import random
from collections.abc import Iterator
from pathlib import Path

_BEFORE = ("", "Hello, ", "Hi there. ", "Urgent: ", "Sorry to bother you, but ", "Question: ")
_AFTER = ("", " Thanks.", " Please help!", " I have been waiting for {n} days.", " My reference is {n}.")


def banking_texts(data: Path) -> list[str]:
    """The 10,003 texts (PolyAI, CC BY 4.0)."""
    with (data / "text" / "banking77_train.csv").open(newline="", encoding="utf-8") as file:
        return [row["text"] for row in csv.DictReader(file)]


def varied(texts: list[str], count: int, seed: int = 77) -> Iterator[str]:
    """So many texts, hardly two of them alike, the same at every call."""
    rng = random.Random(seed)
    for number in range(count):
        text = texts[number % len(texts)]
        yield f"{rng.choice(_BEFORE)}{text}{rng.choice(_AFTER).format(n=rng.randrange(2, 100_000))}"
