"""Names the scenarios; what each imitates stands in its own file."""

from loadtests.scenarios.burst import Burst
from loadtests.scenarios.dashboard import Dashboard
from loadtests.scenarios.mixed import Mixed
from loadtests.scenarios.public_submit import PublicSubmit
from loadtests.scenarios.soak import Soak
from loadtests.scenarios.tenant_storm import TenantStorm

__all__ = ["Burst", "Dashboard", "Mixed", "PublicSubmit", "Soak", "TenantStorm"]
