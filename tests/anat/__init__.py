"""Tests of stage anat."""
