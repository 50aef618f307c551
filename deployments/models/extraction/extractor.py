"""What texts name: every finder asked, and the rule applied that says which finding counts."""

from collections.abc import Iterator, Sequence
from typing import Final

from deployments.models.contracts import Entities, Entity, Frame
from deployments.models.extraction.addresses import emails, urls
from deployments.models.extraction.findings import Finding, resolved
from deployments.models.extraction.moments import moments
from deployments.models.extraction.money import Money, money_rules
from deployments.models.extraction.orders import order_numbers
from deployments.models.extraction.phones import phones
from deployments.models.extraction.quantities import Quantities, quantity_rules
from deployments.models.extraction.reading import Reading
from deployments.models.extraction.tagger import Tagger
from deployments.models.extraction.words import languages_of

# Counted up when rules change what is found.
_RULES: Final = 1


class Extractor:
    """Finds entities in texts; `extract` may be called from several threads."""

    def __init__(self) -> None:
        """Load the tagger."""
        self._tagger = Tagger()
        self.model = f"entities@{_RULES}-{self._tagger.version}"

    def extract(self, texts: Sequence[str], frame: Frame) -> Entities:
        """What each text names. The time it takes grows with the length of a text, and no faster."""
        return Entities(model=self.model, entities=tuple(self._of(text, frame) for text in texts))

    def _of(self, text: str, frame: Frame) -> tuple[Entity, ...]:
        return tuple(
            Entity(
                type=each.type,
                text=text[each.start : each.end],
                start=each.start,
                end=each.end,
                value=each.value,
                confidence=each.confidence,
            )
            for each in resolved(self._found(Reading(text), frame))
        )

    def _found(self, reading: Reading, frame: Frame) -> Iterator[Finding]:
        languages = languages_of(frame.languages)
        yield from emails(reading)
        yield from urls(reading)
        yield from phones(reading, frame.country)
        yield from order_numbers(reading)
        yield from moments(reading, frame)
        money, quantities = Money(frame.country, languages), Quantities(languages)
        for rule in money_rules(languages):
            yield from rule.findings(reading, money)
        for measure in quantity_rules(languages):
            yield from measure.findings(reading, quantities)
        yield from self._tagger.findings(reading)
