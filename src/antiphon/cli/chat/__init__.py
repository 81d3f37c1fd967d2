"""`antiphon chat`: a conversation in the terminal, with a running server or with one in this process."""
