"""How facts and work travel: the outbox, the stream, the consumers and the job queue. Knows no context."""
