"""From fluorescence to the cursor: each part a file, the choice between them in `registry`."""
