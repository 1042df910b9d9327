"""What is checked of a training or a test before its first step."""
