def find_sources(*a,**k): raise RuntimeError
