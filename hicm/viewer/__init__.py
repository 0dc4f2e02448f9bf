"""The viewer: a page that plays a video with its events on a time line, to watch and to correct."""
