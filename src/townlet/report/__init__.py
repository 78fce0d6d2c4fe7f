"""The gallery: terminal tables and progress."""
