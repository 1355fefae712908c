"""Which attributes a published value may set, and to what. Pure.

An author names the attribute with `data-attr`; whoever may publish to the topic then chooses its
value. So what could run script, load code, restyle the page or lead the binding elsewhere is not
set at all, and an address has to be of a scheme that only leads somewhere. `hexcast.js` has the
same rules.
"""

from __future__ import annotations

import re

__all__ = ["address_fault", "attribute_fault"]

# What both HTML and the DOM's setAttribute take without a second thought.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*")

_NEVER = frozenset((
    "style", "srcdoc",  # text in a language of its own
    "is", "nonce", "integrity", "sandbox", "allow", "csp", "http-equiv", "slot",  # guards, kinds
    "attributename", "to", "from", "by", "values",  # of SVG animations, which set attributes
    "data-topic", "data-part", "data-attr", "data-html",  # the binding itself
))  # fmt: skip

_CODE = frozenset((
    "script", "base", "link", "meta", "object", "embed", "applet", "iframe", "frame", "portal",
    "template", "style", "set", "animate", "animatemotion", "animatetransform",
))  # fmt: skip
"""Elements that load, or are, something other than content."""

_ADDRESSES = frozenset((
    "href", "src", "action", "formaction", "poster", "cite", "data", "background", "ping",
    "manifest", "longdesc", "xlink:href", "srcset", "imagesrcset", "profile", "codebase",
    "classid", "archive", "usemap", "icon", "dynsrc", "lowsrc",
))  # fmt: skip

# URL Standard, 4.4: controls and spaces before a URL, and tabs and line ends within, are dropped.
_DROPPED = re.compile(r"^[\x00-\x20]+|[\t\n\r]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_HARMLESS = frozenset(("http", "https", "mailto", "tel"))
_IMAGE = re.compile(r"data:image/(?:png|gif|jpeg|webp|avif)[;,]", re.IGNORECASE)


def attribute_fault(tag: str, name: str) -> str:
    """Why no value may set this attribute of this element; empty where it may."""
    lower = name.lower()
    if not _NAME.fullmatch(name):
        return "that is no attribute's name"
    if tag.lower() in _CODE:
        return f"values set no attributes of <{tag}>"
    if lower.startswith("on"):
        return "values set no event handlers"
    if lower in _NEVER or lower.startswith("xmlns"):
        return f"values do not set {lower}"
    return ""


def address_fault(name: str, text: str) -> bool:
    """Whether `text` is an address that `name` must not be set to.

    An address without a scheme stays on this site, or on its own scheme; `http`, `https`, `mailto`
    and `tel` lead somewhere; `data:` may be a picture where that is shown.
    """
    lower = name.lower()
    if lower not in _ADDRESSES:
        return False
    plain = _DROPPED.sub("", text)
    if lower in ("srcset", "imagesrcset"):
        return any(_foreign(part.lstrip("\x00\x0c \x1f"), False) for part in plain.split(","))
    return _foreign(plain, lower in ("src", "poster"))


def _foreign(address: str, picture: bool) -> bool:
    scheme = _SCHEME.match(address)
    if scheme is None or scheme[1].lower() in _HARMLESS:
        return False
    return not (picture and _IMAGE.match(address))
