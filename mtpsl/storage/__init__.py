"""What the writers of datasets share: files that appear whole, worker processes, command lines.

Nothing here loads torch, so that worker processes start in a moment.
"""
