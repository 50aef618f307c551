"""Looking for answers by what they mean."""
