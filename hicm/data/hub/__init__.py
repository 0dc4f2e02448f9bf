"""Released data and models: fetched, verified, recorded; model folders of ours to and from the Hugging Face hub."""
