"""Models: their layers, their evaluation and their export."""
