"""Conditions and formulas of other formats: read into one small tree, and printed from it."""
