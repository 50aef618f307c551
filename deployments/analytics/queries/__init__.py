"""Questions to responses: from a closed document to SQL that no name or value of a user is in, and back to figures."""
