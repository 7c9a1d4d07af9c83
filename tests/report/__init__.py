"""Tests of stage report."""
