"""A directory served as live pages: elements that follow topics are filled in on the server.

Begin with `site`, which answers requests. `files` finds a file safely, `template` reads its
elements, `content` puts values into them, `attributes` says which attributes a value may set.
"""

from .site import Site

__all__ = [
    "Site",
]
