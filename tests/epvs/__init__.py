"""Tests of stage epvs: regions, alignment, the 1 mm grid, and the census."""
