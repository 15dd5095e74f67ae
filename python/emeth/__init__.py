"""The training engine of Emeth Node: a child process that trains, folds and exports language models."""
