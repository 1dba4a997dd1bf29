"""Dead letters after they were written: listing them, trying them again from the bytes that were kept, discarding."""
