"""The types of events: one struct a type, and nothing else.

A new type is a new struct here. Its name in snake case is the event's `type`, its fields in camel case are the
payload's; validation, JSON Schema, the views' columns, the producer and the tests' examples follow from it.

What belongs here: payloads. What does not: kinds of fields (`constraints`) and how they are checked. Fields that a
payload has beyond these are kept as they are, so a producer may be ahead of the contract.
"""

import msgspec
from msgspec import UNSET

from contract.constraints import ButtonId, Device, Duration, FormFields, FormId, IpAddress, Page, Referrer, UserId


class Payload(msgspec.Struct, gc=False, rename="camel"):
    """What every payload has."""

    user_id: UserId


class Login(Payload):
    """A user has logged in."""

    ip: IpAddress
    device: Device = UNSET


class Logout(Payload):
    """A user has logged out, or the session has ended."""

    duration: Duration
    ip: IpAddress


class PageView(Payload):
    """A user has looked at a page."""

    page: Page
    referrer: Referrer = UNSET
    device: Device = UNSET


class ButtonClick(Payload):
    """A user has clicked a button."""

    button_id: ButtonId
    page: Page


class FormSubmit(Payload):
    """A user has sent a form."""

    form_id: FormId
    fields: FormFields
