"""A server that takes what is uploaded, looks whether it is right, and keeps nothing but its name."""
