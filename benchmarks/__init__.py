"""Measurements that back the choices and the speed of ebll; run from a checkout, not part of the package."""
