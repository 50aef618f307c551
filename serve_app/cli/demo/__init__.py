"""`formstream demo`: a short story told on a running platform, through its HTTP API alone."""
