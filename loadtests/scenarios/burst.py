"""The link was shown on television: everybody has the form before them, and all submit within the same second, again
and again. Between two such moments nothing happens, so that each is seen for itself."""

import time
from typing import Any

from loadtests.common.user import FormUser
from loadtests.scenarios.public_submit import answer_form

_EVERY_S = 20.0
_WITHIN_S = 1.0


def until_the_next_moment(user: Any) -> float:
    """Seconds until all come; the clock is the same for all processes that make load."""
    return _EVERY_S - time.time() % _EVERY_S + float(user.chance.uniform(0, _WITHIN_S))


class Burst(FormUser):
    """Somebody in the audience."""

    wait_time = until_the_next_moment
    tasks = {answer_form: 1}  # noqa: RUF012

    def on_start(self) -> None:
        """Wait for the first moment, too."""
        super().on_start()
        self.wait()
