"""Tools for people who write spiders: try a spider, check it, run it alone."""
