"""Components of kind normalizer: values of different fields and levels made comparable."""

from atmorep_k.components.normalizers.monthly_normalizer import MonthlyNormalizer

__all__ = ["MonthlyNormalizer"]
