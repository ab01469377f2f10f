"""The pictures of the live panels, painted in parts; print figures are in `ebll.plots`."""

from .picture import Picture

__all__ = ["Picture"]
