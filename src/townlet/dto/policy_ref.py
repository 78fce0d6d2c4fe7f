"""How records refer to a policy: ``teacher:NAME`` for a scripted one, the weights digest for a learned one.

What is compared with may also be a data set: ``data:DIGEST``.
"""

__all__ = ["NO_TEACHER", "data_ref", "is_data", "is_reference", "parse_teacher", "short_ref", "teacher_ref"]

NO_TEACHER = "none"
"""What a schedule calls its teacher where it has none: it learns from recorded data, or from scratch."""
_TEACHER, _DATA = "teacher:", "data:"


def teacher_ref(name: str) -> str:
    """Return the reference to a scripted policy.

    >>> teacher_ref("scripted")
    'teacher:scripted'
    """
    return f"{_TEACHER}{name}"


def parse_teacher(reference: str) -> str | None:
    """Return the name of the scripted policy that a reference names; none where it is a weights digest.

    >>> parse_teacher("teacher:scripted"), parse_teacher("c0ffee")
    ('scripted', None)
    """
    return reference.removeprefix(_TEACHER) if reference.startswith(_TEACHER) else None


def data_ref(digest: str) -> str:
    """Return the reference to a data set.

    >>> data_ref("c0ffee")
    'data:c0ffee'
    """
    return f"{_DATA}{digest}"


def is_data(reference: str) -> bool:
    """Return whether a reference is to a data set: recorded episodes, which nothing can play again.

    >>> is_data("data:c0ffee"), is_data("c0ffee")
    (True, False)
    """
    return reference.startswith(_DATA)


def is_reference(teacher: str) -> bool:
    """Return whether a schedule's teacher says where it is, and is not one of the environment's own.

    >>> is_reference("controllers:steer"), is_reference("scripted")
    (True, False)
    """
    return ":" in teacher


def short_ref(reference: str) -> str:
    """Return a reference for people to read: a digest is cut to its first 12 digits.

    >>> short_ref("data:0123456789abcdef"), short_ref("0123456789abcdef")
    ('data:0123456789ab', '0123456789ab')
    """
    kind, colon, name = reference.rpartition(":")
    return reference if reference.startswith(_TEACHER) else f"{kind}{colon}{name[:12]}"
