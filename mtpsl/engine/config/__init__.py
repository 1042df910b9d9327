"""Configs: loading, checking, finding by name."""
