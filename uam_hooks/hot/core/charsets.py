"""Bytes in a charset that somebody else named, as text.

i18n.commitEncoding is whatever its owner wrote. Python knows codecs by name that are no charsets (idna, punycode,
rot13, unicode_escape) and that fail, or do something else, whatever they are told about errors.
"""

from __future__ import annotations

import codecs
import re

# the charsets among Python's codecs, by the name that the codec gives itself
_CHARSETS = (
    r"ascii|utf-(?:8|16|32)(?:-[bl]e)?|iso8859-\d+|iso2022_\w+|cp\d+|koi8-[rtu]|euc_\w+|shift_jis\w*|gb\w+|big5\w*"
    r"|mac-\w+|johab|hz|tis-620|kz1048|ptcp154|hp-roman8"
)


def as_text(raw: bytes, charset: bytes) -> str:
    """`raw` as text: in `charset` if that is one that is known here, else in UTF-8. What does not fit is replaced."""
    if charset:
        try:
            codec = codecs.lookup(charset.decode("ascii"))
        except (LookupError, ValueError):  # unknown, not ASCII, or with a NUL in it
            return raw.decode("utf-8", "replace")
        if re.fullmatch(_CHARSETS, codec.name):
            return codec.decode(raw, "replace")[0]
    return raw.decode("utf-8", "replace")
