"""The container, built and run by buildah."""
