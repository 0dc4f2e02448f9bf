"""A page to watch, correct and export captions: what it shows, and the page itself."""
