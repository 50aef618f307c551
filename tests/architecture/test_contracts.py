"""A context answers exactly what its Protocol says: the edge calls it by these names, with positional arguments."""

import importlib
import inspect
import typing
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

from deployments.kit.contract import Contract, Page
from tests.architecture.rooms import ROOT, contexts

DOORS = [name for name in contexts() if (ROOT / "deployments" / name / "deployment.py").exists()]
_LIFE_CYCLE = {"close"}


def _protocol(context: str) -> type:
    module = importlib.import_module(f"deployments.{context}.contracts")
    protocol = getattr(module, f"{context.capitalize()}Api")
    assert isinstance(protocol, type)
    return protocol


def _context(context: str) -> type:
    module = importlib.import_module(f"deployments.{context}.deployment")
    found = getattr(module, context.capitalize())
    assert isinstance(found, type)
    return found


def _public(kind: type) -> dict[str, Callable[..., Any]]:
    return {
        name: member
        for name, member in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_") and name not in _LIFE_CYCLE
    }


def test_there_are_doors_and_each_has_contracts() -> None:
    assert {"forms", "identity", "responses", "webhooks", "imports", "jobs"} <= set(DOORS)


@pytest.mark.parametrize("context", DOORS)
class TestDoor:
    def test_has_the_methods_of_its_protocol_and_no_others(self, context: str) -> None:
        assert _public(_context(context)).keys() == _public(_protocol(context)).keys()

    def test_every_method_is_asynchronous(self, context: str) -> None:
        for name, method in _public(_context(context)).items():
            assert inspect.iscoroutinefunction(method), name

    def test_parameters_are_those_of_the_protocol(self, context: str) -> None:
        promised, given = _public(_protocol(context)), _public(_context(context))

        for name, method in promised.items():
            assert _parameters(given[name]) == _parameters(method), name
            assert _types(given[name]) == _types(method), name


def _parameters(method: Callable[..., Any]) -> list[tuple[str, Any]]:
    return [(p.name, p.kind) for p in inspect.signature(method).parameters.values()]


def _types(method: Callable[..., Any]) -> dict[str, Any]:
    return typing.get_type_hints(method)


def _contract_modules() -> list[ModuleType]:
    names = [name for name in contexts() if (ROOT / "deployments" / name / "contracts.py").exists()]
    return [importlib.import_module(f"deployments.{name}.contracts") for name in names]


@pytest.mark.parametrize("module", _contract_modules(), ids=lambda module: module.__name__.split(".")[1])
def test_what_crosses_a_door_is_frozen_and_closed(module: ModuleType) -> None:
    """Unknown properties are refused, so a typo is an error and not a silent default."""
    for name, kind in inspect.getmembers(module, inspect.isclass):
        if issubclass(kind, BaseModel) and kind.__module__ == module.__name__:
            assert issubclass(kind, Contract | Page), name
            assert kind.model_config["frozen"], name
            assert kind.model_config["extra"] == "forbid", name
