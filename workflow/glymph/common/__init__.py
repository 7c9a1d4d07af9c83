"""What all stages share: errors, BIDS names, images and their spaces, tables, provenance, FSL."""
