"""The code that brings services and schemas into being. No event passes through here."""
