"""Finding responses: filters over typed answers, full text, order, and what the index holds for them."""
