"""
The composition root: which adapter stands behind which port, and in which order they begin and end.

A container is written in layers, each of which is made from those before it: what is `given`, `turns`, `interrupts`,
`tasks`, `push`, `replicas`, `methods`, `access`, `observed` and, whole, `inbound`. Beside its layer each module has what
only its concern needs: how it is configured, and what is wrong with the settings of it. `assembly` opens what opens
connections and begins what runs by itself, in order; `application` is the service as a server sees it.
"""

from .application import Application, serve
from .assembly import assemble
from .given import VERSION
from .inbound import Container
from .problems import check, missing_extras, problems_of
from .runtime import probe

__all__ = [
    "VERSION",
    "Application",
    "Container",
    "assemble",
    "check",
    "missing_extras",
    "probe",
    "problems_of",
    "serve",
]
