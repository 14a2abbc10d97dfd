"""A recorded baseline: what its ROIs are like, which of them to choose, T of the choice."""
