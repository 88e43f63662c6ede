"""One TOML recipe a data set; the file name is the name of the data set."""
