"""Records: frozen data classes and the one strict converter."""
