"""The real relay, consumer and submissions on a simulated stream and clock, with faults that Hypothesis chooses."""
