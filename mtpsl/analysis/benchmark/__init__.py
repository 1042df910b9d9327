"""The synthetic benchmark: its methods, the record of its runs, its report and curves."""
