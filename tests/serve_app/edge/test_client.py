"""remote: a Protocol's methods become calls."""

import pickle
from typing import Any, Protocol

import pytest

from deployments.kit.calls import Call, Done, answer
from deployments.kit.errors import Conflict
from deployments.kit.principal import Principal
from serve_app.edge.client import remote
from serve_app.edge.dispatch import Dispatcher


class Greeter(Protocol):
    async def greet(self, principal: Principal, name: str) -> str: ...

    async def refuse(self, principal: Principal) -> None: ...


class RealGreeter:
    async def greet(self, principal: Principal, name: str) -> str:
        return f"{principal.tenant_id}: hello {name}"

    async def refuse(self, principal: Principal) -> None:
        raise Conflict("no")


ALICE = Principal("acme", "usr_1", "user")


async def test_a_call_crosses_the_wire_and_comes_back() -> None:
    dispatcher = Dispatcher(lambda batch: answer(batch, {"greeter": RealGreeter()}))
    greeter = remote(Greeter, "greeter", lambda _: dispatcher)
    assert await greeter.greet(ALICE, "Ada") == "acme: hello Ada"
    with pytest.raises(Conflict, match="no"):
        await greeter.refuse(ALICE)


async def test_methods_choose_their_lane_and_deadline() -> None:
    lanes: list[str] = []
    seen: list[Call] = []

    async def send(batch: bytes) -> bytes:
        seen.extend(pickle.loads(batch))  # noqa: S301
        return pickle.dumps([Done(None)])

    def dispatcher_for(method: str) -> Dispatcher:
        lanes.append(method)
        return Dispatcher(send)

    greeter: Any = remote(Greeter, "greeter", dispatcher_for, deadline_s=9.0, deadlines_s={"refuse": 2.0})
    assert sorted(lanes) == ["greet", "refuse"]
    await greeter.greet(ALICE, "Ada")
    await greeter.refuse(ALICE)
    assert [round(call.timeout_s) for call in seen] == [9, 2]
