"""Released data sets as the authors laid them out, read into made data sets."""
