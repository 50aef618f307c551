"""One tenant's campaign goes round the world while others have an ordinary day: every second user storms one tenant
without a pause, the rest submit to a few others. What these feel stands in rows of its own (`quiet: …`); the storm may
be told to slow down (429), which is no failure."""

from itertools import count

from loadtests.common.tenant import tenant_at
from loadtests.common.user import FormUser, thinking
from loadtests.scenarios.public_submit import answer_form

_QUIET = 4
_NUMBERS = count()

_think = thinking(10, 30)


def pause(user: "TenantStorm") -> float:
    """None for the storm."""
    return 0.0 if user.storms else float(_think(user))


class TenantStorm(FormUser):
    """A visitor of the stormed tenant or of a quiet one."""

    wait_time = pause
    tasks = {answer_form: 1}  # noqa: RUF012

    def on_start(self) -> None:
        """Choose the tenant; each process has its own storm, and its own quiet ones."""
        super().on_start()
        number = next(_NUMBERS)
        self.storms = number % 2 == 0
        self.whose = "storm: " if self.storms else "quiet: "
        self.may_be_shed = self.storms
        if not self.storms:
            self.tenant = tenant_at(self.host, 1 + number // 2 % _QUIET)
