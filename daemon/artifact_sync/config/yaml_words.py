"""YAML's syntax errors in plain words.

PyYAML's own messages speak of tokens and block nodes, and some repeat the text at fault, which may be a credential.
"""

from __future__ import annotations

__all__ = ["in_our_words"]

#: A piece of PyYAML's message: what it means to a person, and the usual cure. The first that fits is taken.
_WORDS: tuple[tuple[str, str, str], ...] = (
    ("'\\t'", "a tab where only spaces may stand", "indent with spaces"),
    ("'@'", "text that begins with @", "put it in quotes"),
    ("'`'", "text that begins with a backquote", "put it in quotes"),
    ("'%'", "text that begins with %", "put it in quotes"),
    ("cannot start any token", "a character that cannot begin a value", "put the value in quotes"),
    (
        "mapping values are not allowed",
        "a colon where no key can stand",
        "put text with a colon in quotes, or check the indentation",
    ),
    (
        "could not find expected ':'",
        "a key without its colon",
        "write `key: value`, or put text that spans lines in quotes",
    ),
    ("unexpected end of stream", "the text ends inside quotes", "close the quotes"),
    ("found unexpected document separator", "the document ends inside quotes", "close the quotes"),
    (
        "found unknown escape character",
        "an unknown escape in double quotes",
        "double the backslash, or use single quotes",
    ),
    ("escape sequence of", "an incomplete escape in double quotes", "double the backslash, or use single quotes"),
    (
        "expected ',' or ']'",
        "a list in brackets that is not closed",
        # A tag takes the bracket behind it along.
        "separate the items with commas and close it with ], and put text that begins with ! in quotes",
    ),
    (
        "expected ',' or '}'",
        "a mapping in braces that is not closed",
        "separate the keys with commas and close it with }",
    ),
    ("expected <block end>", "this does not belong to what stands above it", "check the indentation of this line"),
    (
        "sequence entries are not allowed",
        "a list item where none can stand",
        "put `- ` on a line of its own, below its key",
    ),
    ("expected alphabetic or numeric", "* or & at the start of a value", "put text that begins with * or & in quotes"),
    (
        "expected the node content",
        "a value is missing, or stands where none can",
        "check the indentation and the punctuation",
    ),
    (
        "expected '<document start>'",
        "this does not belong to what stands above it",
        "check the indentation of this line",
    ),
    ("incompatible YAML document", "a %YAML directive of another version", "remove the directive"),
    ("expected ' '", "a tag (!) is wrong", "put text that begins with ! in quotes"),
    ("directive", "a directive (%) is wrong", "remove it"),
    ("tag", "a tag (!) is wrong", "remove it; put text that begins with ! in quotes"),
    ("comment or a line break", "more text behind | or >", "begin the text on the next line"),
    ("indentation indicator", "a wrong indentation behind | or >", "write | or > alone"),
)


def in_our_words(problem: str) -> tuple[str, str]:
    """What PyYAML's message means, and the usual cure."""
    for piece, what, cure in _WORDS:
        if piece in problem:
            return f"not valid YAML: {what}", cure
    return "not valid YAML", "check the quotes, colons and indentation near here"
