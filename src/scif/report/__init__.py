"""A report on denoised counts: did denoising help, can it be trusted, and what changed?"""

from __future__ import annotations

from scif.report._count_report import CountReport, count_report

__all__ = ["CountReport", "count_report"]
