"""An ordinary day: for everyone who works with the responses, nine people answer."""

from loadtests.common.user import FormUser, thinking
from loadtests.scenarios.dashboard import look_at_form, look_at_work, look_through_responses
from loadtests.scenarios.public_submit import answer_form


class Mixed(FormUser):
    """A visitor most of the time, somebody of the tenant now and then."""

    wait_time = thinking(10, 30)
    tasks = {answer_form: 90, look_through_responses: 6, look_at_form: 3, look_at_work: 1}  # noqa: RUF012
