"""Never imported: Python prefers the folder beside it. The earlier shims test that this file exists."""
