"""Figures on responses: live metrics, queries, forecasts."""
