"""Sessions disturbed at random, and damaged files: what was lost, in a table (`make campaign`)."""
