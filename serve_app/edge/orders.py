"""Answers to orders of jobs."""

from typing import Any

from deployments.kit.contract import Contract
from serve_app.edge.operations import Reply


def accepted(order: Any, shown: Contract | None = None) -> Reply:
    """The order, or what is `shown` in its place; the job's address, and whether the same was ordered before."""
    headers = [("location", f"/api/v1/jobs/{order.job_id}")]
    if order.replayed:
        headers.append(("idempotent-replayed", "true"))
    return Reply(shown or order, headers=tuple(headers))
