"""Looking at results: figures, reports, tables, complexity, speed."""
