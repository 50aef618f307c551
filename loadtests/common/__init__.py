"""What the scenarios share: the survey, the tenant it belongs to, and a user who knows both."""
