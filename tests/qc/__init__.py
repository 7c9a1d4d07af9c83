"""Tests of stage qc."""
