"""How the built-in heads were trained: `python -m deployments.models.heads.recipes.<name> --data <folder>`."""
