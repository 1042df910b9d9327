"""Checkpoints: reading, checking, resuming, the work dir."""
