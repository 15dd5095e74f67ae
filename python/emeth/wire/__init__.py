"""What crosses the process: specs, commands and events."""
