"""What growing needs where somebody else trains: own loops, outer models."""
