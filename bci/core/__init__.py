"""The pure part: no clock, no socket, no file, no thread."""
