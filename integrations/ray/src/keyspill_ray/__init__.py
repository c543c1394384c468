"""Audit repositories with keyspill on a Ray cluster.

Scheduling, placement, retries and memory limits are Ray's; keyspill scans and joins. See the README.
"""

from keyspill_ray.driver import Audit, Failure, Summary

__all__ = ["Audit", "Failure", "Summary"]
