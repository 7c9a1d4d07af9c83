"""Tests of stage metrics."""
