"""Sockets between processes of one node: how an edge calls the contexts beside it without Ray in between."""
