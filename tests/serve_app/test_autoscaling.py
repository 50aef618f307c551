"""D2, D5: replicas follow the load that they record themselves, whatever they record."""

import logging
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ray.serve.config import AutoscalingContext, AutoscalingPolicy

from serve_app.autoscaling import ByLoad


def context(metrics: Any, *, least: int = 1, most: int = 4, target: int = 2) -> AutoscalingContext:
    """What the controller hands to a policy."""
    return AutoscalingContext(
        deployment_id=None,
        deployment_name="responses",
        app_name="responses",
        current_num_replicas=target,
        target_num_replicas=target,
        running_replicas=[],
        total_num_requests=0.0,
        total_queued_requests=0.0,
        aggregated_metrics=metrics,
        raw_metrics=None,
        capacity_adjusted_min_replicas=least,
        capacity_adjusted_max_replicas=most,
        policy_state={},
        last_scale_up_time=None,
        last_scale_down_time=None,
        current_time=0.0,
        config=None,
    )


@pytest.mark.parametrize(
    ("calls", "wanted"),
    [((0.0,), 1), ((32.0,), 1), ((33.0,), 2), ((40.0, 40.0), 3), ((500.0, 500.0), 4), ((), 1)],
)
def test_shares_are_added_and_bounds_kept(calls: tuple[float, ...], wanted: int) -> None:
    policy = ByLoad("calls", 32)
    metrics = {"calls": dict(enumerate(calls)), "RUNNING_REQUESTS_KEY": {0: 1000.0}}
    assert policy(context(metrics)) == (wanted, {})
    assert policy(context(lambda: metrics)) == (wanted, {})  # as the controller does


@pytest.mark.parametrize(("lag", "wanted"), [((500.0, 480.0), 1), ((501.0, 501.0), 2), ((9000.0, 1.0), 4)])
def test_a_common_number_is_not_added(lag: tuple[float, ...], wanted: int) -> None:
    policy = ByLoad("lag", 500, combine="max")
    assert policy(context({"lag": dict(enumerate(lag))})) == (wanted, {})


def test_it_scales_to_zero_only_where_that_is_allowed() -> None:
    policy = ByLoad("lag", 500, combine="max")
    assert policy(context({"lag": {0: 0.0}}, least=0)) == (0, {})
    assert policy(context({"lag": {0: 0.0}}, least=2)) == (2, {})


def _broken() -> Any:
    raise RuntimeError("no metrics")


def test_a_call_that_waits_for_nobody_wakes_a_replica() -> None:
    """A1: scaled to zero, nothing records any load; what waits at the callers is known to the controller."""
    waiting = context({}, least=0, target=0)
    waiting._total_queued_requests_value = 1.0
    assert ByLoad("calls", 16)(waiting) == (1, {})
    assert ByLoad("calls", 16)(context({}, least=0, target=0)) == (0, {})


GARBAGE: list[Any] = [[], 7, _broken, {"calls": 7}, {"calls": [1]}]
GARBAGE += [{"calls": {0: value}} for value in (None, "many", math.nan, math.inf, -math.inf, [], b"1", 10**400)]


@pytest.mark.parametrize("metrics", GARBAGE)
@pytest.mark.parametrize("combine", ["sum", "max"])
def test_it_never_raises(metrics: Any, combine: Any) -> None:
    """A policy that raises would keep the controller from updating every other application."""
    replicas, state = ByLoad("calls", 32, combine)(context(metrics, target=3))
    assert (replicas, state) in [(3, {}), (1, {})]


@pytest.mark.parametrize("metrics", [None, {}, {"calls": None}, {"calls": {}}, {"other": {0: 9.0}}])
def test_no_numbers_are_no_load(metrics: Any) -> None:
    assert ByLoad("calls", 32)(context(metrics)) == (1, {})


@pytest.mark.parametrize(("least", "most"), [(None, 4), (1, None), ("one", 4), (math.nan, 4), (None, None)])
def test_bounds_that_are_none_leave_replicas_as_they_are(least: Any, most: Any) -> None:
    assert ByLoad("calls", 32)(context({"calls": {0: 40.0}}, least=least, most=most, target=3)) == (3, {})


@pytest.mark.parametrize("load", [-5.0, -1e300, 0, True])
def test_less_than_nothing_is_the_least(load: Any) -> None:
    assert ByLoad("lag", 500, combine="max")(context({"lag": {0: load}})) == (1, {})


def test_a_target_of_zero_leaves_replicas_as_they_are() -> None:
    assert ByLoad("calls", 0)(context({"calls": {0: 9.0}}, target=3)) == (3, {})


def test_a_lasting_failure_is_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(logging.getLogger("ray.serve"), "exception", said.append)
    policy = ByLoad("calls", 1)
    for metrics in (_broken, _broken, {"calls": {0: 2.0}}, _broken):
        policy(context(metrics))
    assert len(said) == 2


def test_it_travels_by_value_as_ray_sends_it(tmp_path: Path) -> None:
    """The controller may run where nothing of ours can be imported."""
    policy = AutoscalingPolicy(
        policy_function="serve_app.autoscaling:ByLoad", policy_kwargs={"metric": "lag", "target": 10, "combine": "max"}
    )
    file = tmp_path / "policy"
    file.write_bytes(policy.get_serialized_policy_def() or b"")
    code = f"""
import sys, types
sys.modules["serve_app"] = None
from ray import cloudpickle
policy = cloudpickle.load(open({str(file)!r}, "rb"))(**{policy.policy_kwargs!r})
context = types.SimpleNamespace(
    aggregated_metrics={{"lag": {{0: 25.0}}}}, target_num_replicas=1,
    capacity_adjusted_min_replicas=1, capacity_adjusted_max_replicas=9,
)
print(policy(context)[0])
context.aggregated_metrics = 7
print(policy(context)[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["3", "1"], done.stderr
