"""All queries. A repository is constructed with the session and the tenant it may see."""
