"""Data sets on disk: HDF5 shards, the manifest, reading."""
