"""Compact networks of Real-ESRGAN (Wang et al., 2021), which enlarge or clean photos; importing it loads no torch."""
