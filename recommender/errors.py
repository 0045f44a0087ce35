"""Everything that peakcast raises on purpose.

Each error says what went wrong (``cause``) and what the person in front of it can do (``fix``).
The command line turns any of them into one line on stderr and exit code 2; a service counts it,
logs it and goes on with what it has. Errors of libraries are chained with ``from`` at the border,
so that nothing above the room that uses a library needs to know it.

::

    PeakcastError
     |- SettingsError            a flag, an environment variable or the YAML file
     |- QuantityError            text that is no Kubernetes quantity (also a ValueError)
     |- TelemetryError           histories
     |   |- SourceUnreachable    no answer: network, TLS, time-out, server down
     |   |- SourceRefused        an answer, and it is no: credentials, limits, a query it rejects
     |   `- MalformedHistory     an answer or a file that is not what it should be
     |- BundleError              the model bundle
     |   |- BundleMissing        there is none where one should be
     |   |- BundleCorrupt        checksum, file or parity vectors do not hold
     |   `- BundleMismatch       whole, but made for another schema or a newer release
     |- StoreError               files under the store's URL
     |   `- FormatTooNew         written by a newer release than this one
     `- MissingExtra             the command needs an extra that is not installed
"""

from __future__ import annotations


class PeakcastError(Exception):
    """What a person can act on.

    Attributes:
        cause: what is wrong, with the value or the path it is about; a clause without a full stop.
        fix: what to do about it, in the imperative; empty where nothing can be said.
    """

    def __init__(self, cause: str, *, fix: str = "") -> None:
        self.cause = cause
        self.fix = fix
        super().__init__(cause)

    def __str__(self) -> str:
        return f"{self.cause}. {self.fix}" if self.fix else self.cause


class SettingsError(PeakcastError):
    """A setting that is missing, unknown, contradictory or out of range."""


class QuantityError(PeakcastError, ValueError):
    """Text that is no Kubernetes quantity, or a number that cannot be written as one."""


class TelemetryError(PeakcastError):
    """Histories could not be had."""


class SourceUnreachable(TelemetryError):
    """The source gave no answer. Trying again later may help."""


class SourceRefused(TelemetryError):
    """The source answered no. Trying again will not help until somebody changes something."""


class MalformedHistory(TelemetryError):
    """The source answered with something that is not a history in the expected schema."""


class BundleError(PeakcastError):
    """A model bundle that will not be used; whoever holds another one keeps it."""


class BundleMissing(BundleError):
    """No bundle where one was named."""


class BundleCorrupt(BundleError):
    """A bundle whose checksums, files or parity vectors do not hold."""


class BundleMismatch(BundleError):
    """A bundle that is whole, but not for this release: feature schema or format differ."""


class StoreError(PeakcastError):
    """A file under the store's URL could not be read or written."""


class FormatTooNew(StoreError):
    """A file written by a newer release. Older files are read, newer ones are refused."""


class MissingExtra(PeakcastError):
    """A command whose dependencies come with an extra that is not installed."""
