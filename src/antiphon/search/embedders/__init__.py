"""What turns texts into vectors of their meaning: services over HTTP, and weights in a folder of this machine."""
