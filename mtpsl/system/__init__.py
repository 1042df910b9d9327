"""Command lines, files and processes. Importing these modules does not import PyTorch."""
