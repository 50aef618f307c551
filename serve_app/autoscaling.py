"""Autoscaling by what the replicas say of themselves: one message carries many calls, so Serve's own count says little.

Ray pickles a policy with its module and unpickles it in the controller, so this module imports nothing of ours.
"""

import logging
import math
from typing import Any, Literal

from ray.serve.config import AutoscalingContext


class ByLoad:
    """As many replicas as bring the `metric` that they record to `target` each, within the deployment's bounds.

    `combine` is `sum` when each replica tells of its own share (calls in progress) and `max` when each tells the
    same of the whole (lag of a queue). A call that waits while there is no replica wakes one. Never raises: a policy
    that does keeps the controller from updating every other application.
    """

    def __init__(self, metric: str, target: float, combine: Literal["sum", "max"] = "sum") -> None:
        self._metric = metric
        self._target = target
        self._combine = combine
        self._failing = False

    def __call__(self, context: AutoscalingContext) -> tuple[int, dict[str, Any]]:
        try:
            values = ((context.aggregated_metrics or {}).get(self._metric) or {}).values()
            load = (sum(values) if self._combine == "sum" else max(values)) if values else 0.0
            wanted = math.ceil(load / self._target)
            if not wanted and context.total_queued_requests:
                # Nobody is there to record anything, and somebody waits.
                wanted = 1
            least, most = context.capacity_adjusted_min_replicas, context.capacity_adjusted_max_replicas
            replicas = int(max(least, min(most, wanted)))
        except Exception:
            # The controller asks ten times a second.
            if not self._failing:
                logging.getLogger("ray.serve").exception("autoscaling policy failed; replicas stay as they are")
            self._failing = True
            return context.target_num_replicas, {}
        self._failing = False
        return replicas, {}
