"""What a growing model writes to files and lists, and takes from them."""
