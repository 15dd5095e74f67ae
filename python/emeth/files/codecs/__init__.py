"""How the numbers of an update become bytes: one codec a file, all behind one protocol."""
