"""Gates: commands of the repository's owner that have to pass on the exact tree of a landing before it is pushed."""
