"""Tests of stage stats."""
