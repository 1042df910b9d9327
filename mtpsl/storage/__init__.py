"""Writing whole data sets: files that appear whole, worker processes, where each file lies.

Nothing here loads torch, so that worker processes start in a moment.
"""
