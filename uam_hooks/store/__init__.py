"""The queue's database. All SQL of the project is in this package.

`connection` opens it and runs transactions, `schema` holds the numbered migrations, `enqueue` is what the doors
use (HOT), `claim` and `finish` what a flush does, `journal` what recovery reads, `views` what people look at.
"""
