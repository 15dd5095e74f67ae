"""What each kind of child does: coordinate a job, measure a machine, generate text."""
