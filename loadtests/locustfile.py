"""Names the scenarios; what each imitates stands in its own file."""

from loadtests.scenarios.dashboard import Dashboard
from loadtests.scenarios.mixed import Mixed
from loadtests.scenarios.public_submit import PublicSubmit

__all__ = ["Dashboard", "Mixed", "PublicSubmit"]
