"""Files, flags and dict shapes of earlier releases."""
