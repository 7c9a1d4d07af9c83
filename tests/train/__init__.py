"""Tests of training: the synthesis, the loop, and the bundles it writes."""
