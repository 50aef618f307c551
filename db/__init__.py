"""How things are remembered: engines, units of work, tables, queries and migrations. Knows no other room."""
