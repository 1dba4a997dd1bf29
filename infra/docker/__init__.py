"""The image and the Compose deployment. What belongs here: the files that `millrace init` writes beside them."""
