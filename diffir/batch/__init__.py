"""Many files: planned, read ahead, restored and written behind."""
