"""Where gunicorn looks for its settings; they are in the package, so that wheels have them too."""

from crawler.gunicorn_conf import *  # noqa: F403
