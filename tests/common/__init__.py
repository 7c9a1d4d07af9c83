"""Tests of stage common."""
