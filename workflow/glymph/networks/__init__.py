"""Networks: the VB-Net, the bundles that carry its weights, and how they are run on images."""
