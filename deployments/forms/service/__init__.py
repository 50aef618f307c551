"""The rules of forms: drafts change freely, published versions never."""
