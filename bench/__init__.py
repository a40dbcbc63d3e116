"""What this machine makes of it: figures, each beside a named peer in the same run."""
