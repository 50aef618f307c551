"""Hours of an ordinary day, to see what grows that should not: memory, latency, a backlog. Nine people answer for
everyone who works with the responses, and those who work sometimes take the whole form home. Run it for an hour or more
and compare the ends of the chart in the report."""

from loadtests.common.user import FormUser, thinking
from loadtests.scenarios.dashboard import look_at_form, look_at_work, look_through_responses, take_home
from loadtests.scenarios.public_submit import answer_form


class Soak(FormUser):
    """A visitor most of the time, somebody of the tenant now and then."""

    wait_time = thinking(10, 30)
    tasks = {answer_form: 900, look_through_responses: 60, look_at_form: 29, look_at_work: 10, take_home: 1}  # noqa: RUF012
