"""Load as users make it. A stranger to the platform: it imports nothing of it and knows only URLs."""
