"""Studies: many runs that answer one question, each a command with a table and a figure."""
