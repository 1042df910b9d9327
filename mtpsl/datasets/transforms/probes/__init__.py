"""Trials of pipelines on made-up samples: what moves, what draws by chance, what keeps a state."""
