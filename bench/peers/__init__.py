"""The servers that the suite puts beside ours, and ours without Redis: each a program that says ``ready``."""
