"""Entities of texts: how the models are asked."""

from datetime import UTC, datetime
from typing import Final

from deployments.inference.extract_contracts import ExtractedEntities, ExtractEntities, Extraction
from deployments.kit.errors import Invalid
from deployments.models.contracts import Frame, ModelsApi

MAX_CHARACTERS: Final = 400_000  # of all texts: some seconds of a processor


async def extract(models: ModelsApi, command: ExtractEntities) -> Extraction:
    """Every entity, or those of the types that were asked for: which of two that overlap counts does not depend on
    what is asked for. Raises Invalid for texts that are too long together."""
    if sum(map(len, command.texts)) > MAX_CHARACTERS:
        raise Invalid.at("/texts", "texts.too_long", f"Together they may have {MAX_CHARACTERS} characters.")
    frame = Frame(
        moment=command.moment or datetime.now(UTC), languages=tuple(command.languages), country=command.country
    )
    found = await models.extract(command.texts, frame)
    wanted = None if command.types is None else frozenset(command.types)
    return Extraction(
        model=found.model,
        results=[
            ExtractedEntities(entities=[each for each in entities if wanted is None or each.type in wanted])
            for entities in found.entities
        ],
    )
