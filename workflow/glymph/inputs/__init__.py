"""Stage inputs: configuration, the index of a dataset's files, participants, content checks."""
