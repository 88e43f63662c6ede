"""Training a method on a made data set."""
