"""What a master does: it stands for election, and leads for a term."""
