"""Tests of stage review."""
