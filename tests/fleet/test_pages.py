"""The pages about a database that refuses show what is printed."""

from __future__ import annotations

from tests.docs.test_trouble import shown
from tests.docs.trouble import Screen, plain
from tests.support.postgres import Server
from tests.support.scenes import Scene


def test_the_pages_about_a_database_that_refuses_show_what_is_printed(scene: Scene, url: str, postgres: Server) -> None:
    scene.git("config", "uam.fleet", "origin")
    scene.git("config", "uam.fleet.url", url)
    postgres.sql(
        "CREATE SCHEMA uam",
        "CREATE TABLE uam.meta AS SELECT true AS one, 7 AS version",
        database=url.partition("?")[0].rpartition("/")[2],
    )
    newer, refused = Screen(scene), Screen(scene)
    for on in (newer, refused):
        on.type("git uam fleet status", None, 4)
        on.type("git uam doctor", None, 1)
        scene.git("config", "uam.fleet.url", url.replace("uam@", "ada@"))
    for name, on in (("fleet-newer", newer), ("fleet-refused", refused)):
        printed = "\n".join(on.lines).replace(str(postgres.root), "/srv/pg").splitlines()
        assert shown(name) == [plain(line) for line in printed]
