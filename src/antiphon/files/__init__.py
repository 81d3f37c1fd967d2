"""Files: what people attach, what it really is, and how it is kept and quoted."""
