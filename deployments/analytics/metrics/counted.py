"""The versions of forms that responses answer, compiled to count them; kept, since versions never change."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from db.repositories.published_forms import PublishedFormRepository
from db.session import UnitOfWork
from deployments.analytics.metrics.parts import NOTHING, CountedVersion, Part
from deployments.kit.engine import compile_form, stored_definition

_KEPT: Final = 256


class CountedVersions:
    """Bounded cache of versions."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, int], CountedVersion] = OrderedDict()

    async def of(self, unit: UnitOfWork, form_id: str, rows: Iterable[Any]) -> Mapping[int, CountedVersion]:
        """The versions that these responses answer, by number; without those that are gone."""
        found: dict[int, CountedVersion] = {}
        for number in sorted({row.version for row in rows}):
            key = (unit.tenant, form_id, number)
            if key not in self._kept:
                version = await PublishedFormRepository(unit.session, unit.tenant).version(form_id, number)
                if version is None:
                    continue
                self._kept[key] = CountedVersion(compile_form(stored_definition(version.definition)))
                if len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            found[number] = self._kept[key]
        return found


def part_of(versions: Mapping[int, CountedVersion], row: Any) -> Part:
    """What the response adds; nothing where its version is gone."""
    version = versions.get(row.version)
    return NOTHING if version is None else version.part(row)
