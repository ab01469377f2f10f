"""Widgets for notebooks: charts that the browser draws, so that the kernel draws nothing while it trains."""

from .chart import Chart
from .lab_chart import lab_chart, lab_tables
from .submanifold_chart import submanifold_chart, submanifold_tables

__all__ = ["Chart", "lab_chart", "lab_tables", "submanifold_chart", "submanifold_tables"]
