"""Training of the VB-Nets on synthetic images, and fine-tuning on a lab's own masks.

Stands apart: nothing of the workflow's flow imports it, and it shares no code with `simulate`, so
that a simulated cohort is data of another make for the networks trained here.
"""
