"""Work in several steps, of which models are but some."""
