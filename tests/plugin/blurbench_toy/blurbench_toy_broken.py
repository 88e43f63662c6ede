"""A method whose module cannot be imported here."""

raise ImportError("toy-broken needs a compiled operator\nthat nobody built")
