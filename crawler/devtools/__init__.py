"""Tools for whoever writes a spider: try it, check it, run it alone."""
