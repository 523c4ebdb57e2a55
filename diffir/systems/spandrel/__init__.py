"""Networks of any architecture that the optional package spandrel loads; importing this loads neither it nor torch."""
