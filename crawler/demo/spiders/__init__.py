"""The spiders of the demo. examples/ shows them too."""
