"""What may be lost: values kept at hand for a while, in this process or in a Redis that several share."""
