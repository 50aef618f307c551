"""One file per kind of traffic."""
