"""Calls around denoising, as one base class of the model."""

from __future__ import annotations

from scif.model.correlations import CorrelationMixin
from scif.model.familiar import FamiliarMixin
from scif.model.modality import ModalityMixin
from scif.model.reporting import ReportMixin
from scif.model.stream.mixin import StreamMixin

__all__ = ["SurfaceMixin"]


class SurfaceMixin(FamiliarMixin, CorrelationMixin, StreamMixin, ReportMixin, ModalityMixin):
    """Calls that users of scvi-tools and scanpy know, files, and reports."""
