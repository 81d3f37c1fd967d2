"""Where frames meet conversations: the channels of the live topics."""
