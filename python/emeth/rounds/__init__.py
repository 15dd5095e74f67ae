"""The inner training of a round, and the outer step that folds its updates."""
