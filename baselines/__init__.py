"""One file a method: the network and its adapter. See docs/method.md for how to add one."""
