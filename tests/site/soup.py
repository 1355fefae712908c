"""HTML as nobody should write it, for tests: tags that do not match, tables with loose text."""

from __future__ import annotations

import random

from hypothesis import strategies as st

PIECES = (
    "<p data-topic=a>", "<p>", "</p>", "<b>", "<b data-topic=b>", "</b>", "<i>", "</i>", "<div data-topic=c>",
    "</div>", "<div>", "<table>", "</table>", "<tr>", "<tr data-topic=d data-html>", "</tr>", "<td data-topic=e>",
    "<td>", "</td>", "<ul>", "</ul>", "<li data-topic=f>", "<a data-topic=g data-attr=title href=x>", "</a>",
    "<img data-topic=h data-attr=alt alt='y'>", "<select>", "<option data-topic=i>", "</select>", "<svg>",
    "<text data-topic=j>", "</svg>", "<textarea data-topic=k>", "</textarea>", "<!-- x -->", "<!--", "<script>",
    "</script>", "<style>", "</style>", "<template>", "</template>", "<head>", "</head>", "<body>", "</body>",
    "<html>", "</html>", "<title data-topic=l>", "</title>", "<br data-topic=m data-attr=title>", "</br>",
    "<h1 data-topic=n>", "</h1>", "<button data-topic=o>", "</button>", "<form>", "</form>", "<caption data-topic=p>",
    "<noscript>", "</noscript>", "text", "&amp;", "&lt", " ", "\r\n", "\n", "\r", "é", "\U0001f600", "<", ">", "</", "\0",
    "<math>", "<mi data-topic=q>", "</math>", "<dd data-topic=r>", "<dt>", "<span data-topic=s", " x=y>", "/>", '"', "'",
    "<frameset>", "<plaintext data-topic=t>", "<iframe data-topic=u>", "</iframe>", "<![CDATA[", "]]>", "<pre data-topic=v>",
    "</pre>", "<ruby>", "<rt data-topic=w>", "<colgroup>", "<col data-topic=x data-attr=class>", "<nobr data-topic=y>", "</nobr>",
)  # fmt: skip

soups = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


def soup(source: random.Random) -> str:
    """A page made of pieces at random."""
    return "".join(source.choices(PIECES, k=source.randrange(1, 25)))
