"""What can go wrong with the transport: each failure carries one sentence that says what and, where known, the cure."""


class EventingError(Exception):
    """A failure of the event transport. The only argument is the sentence, so every subclass pickles."""


class ServerFailed(EventingError):
    """The embedded server did not start, is not started, or does not run with the configuration it was given."""


class StoreUnusable(EventingError):
    """The folder of the embedded server cannot be created, read or written."""


class StoreInUse(EventingError):
    """Another process runs an embedded server on the same folder."""


class PortTaken(EventingError):
    """The port that was asked for belongs to another program."""


class ConnectFailed(EventingError):
    """No connection to NATS within the deadline."""


class PullEnded(EventingError):
    """The server ended a consumer's request for messages, or has not been heard of for long."""


class DeclarationRejected(EventingError):
    """JetStream refuses a declared stream or consumer and says why."""


class InvalidSubject(EventingError, ValueError):
    """A tenant, an event type or a queue name that may not become part of a subject."""


class StreamAbandoned(EventingError):
    """The stream holds events of another history than the database's."""
