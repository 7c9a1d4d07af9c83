"""Tests of stage dwi."""
