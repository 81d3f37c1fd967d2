"""One way to find: lexical ranking, and the manual."""
