"""Certificates that hold on new rows with a stated confidence, whatever their distribution."""

from fairsteer.certify._certificate import FairnessCertificate
from fairsteer.certify._certify import certify

__all__ = ["FairnessCertificate", "certify"]
