"""What models do with each response that a form's settings name (A5)."""
