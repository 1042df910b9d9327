"""Analysis of results: figures, reports, tables, complexity, speed."""
