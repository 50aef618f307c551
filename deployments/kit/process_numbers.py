"""What a process tells of itself, for metrics."""

from typing import Literal

from deployments.kit.contract import Contract


class PoolNumbers(Contract):
    """Connections to the database that are in use, of so many that may be."""

    role: Literal["read", "write"]
    in_use: int
    size: int


class ModelNumbers(Contract):
    """Calls of a method of the models that ended so, and their seconds in all."""

    method: str
    outcome: Literal["answered", "failed"]
    calls: int
    duration_s: float


class ProcessNumbers(Contract):
    """The numbers of one process since its start."""

    pools: list[PoolNumbers]
    models: list[ModelNumbers]
