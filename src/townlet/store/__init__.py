"""Storage: atomic files, blobs, run directories, the registry, and readers of untrusted files."""
