"""Run records into tables."""
