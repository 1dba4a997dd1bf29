"""The SQL of the checks, loaded by name. No logic in Python here."""

from resources.sql import loader

statement = loader(__name__)
