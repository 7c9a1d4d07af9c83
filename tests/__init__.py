"""All tests; one folder per stage, as everywhere in this repository."""
