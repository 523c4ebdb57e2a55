"""From a clean image to a low-quality one."""
