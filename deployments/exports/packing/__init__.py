"""From the rows of an export to a file, as a stream: memory holds a few pieces, whatever the size of the file."""

from deployments.exports.packing.formats import FORMATS, Format, packed

__all__ = ["FORMATS", "Format", "packed"]
