"""Whether the models that a form's settings name are there, and label what they are named for."""

from collections.abc import Iterator, Mapping

from db.repositories.taken_models import TakenModel, TakenModelRepository
from db.session import UnitOfWork
from deployments.forms.errors import InvalidSettings
from deployments.kit.enrichment import EnrichmentPolicy
from deployments.kit.errors import Fault


async def require_models(unit: UnitOfWork, policy: EnrichmentPolicy) -> None:
    """Raise InvalidSettings for a model that is not there, was not taken, or labels something else."""
    wanted = {each.model_id for each in policy.brought()}
    if wanted:
        known = await TakenModelRepository(unit.session, unit.tenant).find(wanted)
        if faults := tuple(_faults(policy, known)):
            raise InvalidSettings(faults=faults)


def _faults(policy: EnrichmentPolicy, known: Mapping[str, TakenModel]) -> Iterator[Fault]:
    for each in policy.brought():
        place, model = f"/settings/ai/{each.place}/model_id", known.get(each.model_id)
        if model is None:
            yield Fault(place, "settings.unknown_model", f"there is no model {each.model_id!r}")
        elif model.state != "ready":
            yield Fault(place, "settings.model_not_ready", f"the model is {model.state}")
        elif model.kind != each.kind:
            labels = "parts of texts" if model.kind == "token" else "whole texts"
            yield Fault(place, "settings.model_kind", f"the model labels {labels}")
