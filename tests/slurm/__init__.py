"""The workflow on a real SLURM."""
