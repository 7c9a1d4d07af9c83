"""Stage review: what people decide who look at the results: ratings, corrections, who agrees."""
