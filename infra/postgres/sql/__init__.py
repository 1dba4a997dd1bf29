"""The SQL of the views and of the analysts' rights, loaded by name. No logic in Python here."""

from resources.sql import loader

statement = loader(__name__)
