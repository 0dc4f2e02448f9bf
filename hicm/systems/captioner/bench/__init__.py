"""What `hicm bench` runs of this room: made-up models and videos, the plain ways, and the authors' own modules."""
