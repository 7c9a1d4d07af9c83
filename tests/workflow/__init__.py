"""Tests of stage workflow."""
