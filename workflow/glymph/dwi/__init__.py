"""Stage dwi: gradient check, denoising, motion and distortion correction, tensor, registration."""
