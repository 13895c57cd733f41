"""The figures of `git uam stats` as one page of HTML that stands alone: a drawing of its JSON, which decides nothing.

It asks neither queue nor git. Only `git uam stats --html` imports it, and only `charts` the library that draws.
"""
