"""Groups of commands, each in a module of its name; what they do stands in the modules above."""
