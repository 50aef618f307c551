"""`formstream`, also as `python -m serve_app`."""

from serve_app.cli.app import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
