"""Where items go: files, databases, standard output; one kind a file."""
