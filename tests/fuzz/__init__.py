"""Every reader under thousands of damaged files: `readers` lists them, `damage` makes the files, `run` reads them."""
