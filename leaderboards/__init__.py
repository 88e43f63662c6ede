"""Protocols, one TOML file each (the file name is the name of the protocol), published numbers, and the boards."""
