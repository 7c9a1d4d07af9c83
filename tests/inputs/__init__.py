"""Tests of stage inputs."""
