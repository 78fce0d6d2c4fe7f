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
    """Largest difference of a logit or a mean."""
    largest: float
    """Largest logit or mean, without its sign: what the difference is to be seen against."""
    ties: int
    """Actions that differ because two options were equal to within the difference."""
