"""Stage alps: regions of interest, axes, and the ALPS index."""
