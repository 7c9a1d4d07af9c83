"""What several stages share: errors, BIDS names, spaces, gradient tables, images, provenance."""
