"""A form's responses as tables and documents, in pieces, with columns that stay the same over versions."""
