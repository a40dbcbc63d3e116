"""What the server says, written down for those who listen: made of the types that it speaks in."""
