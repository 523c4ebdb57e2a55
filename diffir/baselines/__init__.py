"""What everything is compared with: methods without training, and networks of other projects; all restore alike."""
