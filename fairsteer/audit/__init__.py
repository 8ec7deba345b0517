"""Audits: how well classifiers recover the group before and after steering."""

from fairsteer.audit._audit import SteeringAudit, audit_steering

__all__ = ["SteeringAudit", "audit_steering"]
