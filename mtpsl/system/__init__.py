"""Command lines, files and processes. Nothing here imports PyTorch when it is imported."""
