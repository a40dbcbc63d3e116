"""The feed tailed by every node and spoken into the rooms of its own sockets."""
