"""From a text to token blocks, and back."""
