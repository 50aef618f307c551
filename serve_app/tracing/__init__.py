"""Traces: who opens which span, and where they go. Nothing of OpenTelemetry is loaded while they are off."""
