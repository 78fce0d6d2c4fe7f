"""The cellar: atomic files, blobs, the run directory, the registry."""
