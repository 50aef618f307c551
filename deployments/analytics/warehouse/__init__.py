"""Tables of forms that SQL can be asked of: the lake's files and what was written since, read apart."""
