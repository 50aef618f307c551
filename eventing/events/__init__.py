"""The published language: every fact that can happen, as closed, versioned, plain data."""
