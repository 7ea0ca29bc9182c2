"""The files of deploy/ are well formed, and say what the program knows."""
