"""The composition root: reads the environment, wires the rooms together, starts things, speaks HTTP."""
