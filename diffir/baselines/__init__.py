"""Methods without training that everything is compared with; they restore like the networks do."""
