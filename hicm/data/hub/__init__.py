"""Released data and models: fetched, verified, recorded; our own model folders to and from the Hugging Face hub."""
