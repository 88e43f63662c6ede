"""What every recipe in these tests begins with."""

HEAD = """
id = "mine"
version = 1
title = "t"
description = "d"
citation = "c"
licence = "l"
"""
