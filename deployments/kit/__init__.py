"""What several contexts need and none owns. Knows no context."""
