"""Tests of stage alps."""
