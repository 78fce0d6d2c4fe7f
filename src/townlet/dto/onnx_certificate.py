"""What an ONNX graph was compared with, and what came out."""

from attrs import frozen

from townlet.dto.codec import Record

__all__ = ["OnnxCertificate"]


@frozen(kw_only=True)
class OnnxCertificate(Record):
    """The comparison of an ONNX graph with the policy in numpy, on recorded observations."""

    sha256: str
    """Digest of the graph."""
    opset: int
    """Version of its operators."""
    runtime: str
    """Version of onnxruntime that computed it."""
    batches: tuple[int, ...]
    """Numbers of rows that were computed at once."""
    rows: int
    """Observations compared, each in every batch size."""
    difference: float
    """Largest difference of a legal logit or a mean."""
    share: float
    """Largest difference as a share of the largest output of its row, or of 1 where that is larger."""
    largest: float
    """Largest legal logit or mean, without its sign."""
    ties: int
    """Actions, over all batches, that differ because two options, or two whole numbers, were equally near."""
