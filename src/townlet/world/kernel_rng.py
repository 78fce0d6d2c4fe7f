"""Keyed randomness inside the kernels: `townlet.rng` for scalars, with the same bits."""

from townlet.compiled import f32, i64, kernel, u64

__all__ = [
    "CHAT",
    "HOME",
    "INITIAL_NEED",
    "INVITEE",
    "PERTURBATION_LENGTH",
    "PERTURBATION_SIZE",
    "PERTURBATION_START",
    "PLACE",
    "POLICY",
    "RESPAWN",
    "START_TIME",
    "TIE_BREAK",
    "below",
    "draw",
    "mix",
    "uniform",
]

(
    START_TIME,
    PLACE,
    HOME,
    INITIAL_NEED,
    TIE_BREAK,
    RESPAWN,
    POLICY,
    CHAT,
    PERTURBATION_START,
    PERTURBATION_LENGTH,
    PERTURBATION_SIZE,
    INVITEE,
) = (u64(n) for n in range(12))
"""Streams: what a random number is for; typed, because the compiler would make a kernel for each bare number."""

_ONE = u64(1)
_GOLDEN = u64(0x9E3779B97F4A7C15)
_MULTIPLIER_1 = u64(0xBF58476D1CE4E5B9)
_MULTIPLIER_2 = u64(0x94D049BB133111EB)
_S27, _S30, _S31, _S33, _S40 = u64(27), u64(30), u64(31), u64(33), u64(40)
_ULP = f32(2.0**-24)


@kernel
def mix(key: int, part: int) -> int:
    """Return SplitMix64's finaliser of `key` advanced by `part`, both unsigned 64-bit."""
    z = key + (part + _ONE) * _GOLDEN
    z = (z ^ (z >> _S30)) * _MULTIPLIER_1
    z = (z ^ (z >> _S27)) * _MULTIPLIER_2
    return z ^ (z >> _S31)


@kernel
def draw(key: int, stream: int, when: int, who: int) -> int:
    """Return the 64 random bits of an episode's key for one purpose, moment and agent."""
    return mix(mix(mix(key, stream), u64(when)), u64(who))


@kernel
def uniform(bits: int) -> float:
    """Return a single in [0, 1)."""
    return f32(bits >> _S40) * _ULP


@kernel
def below(bits: int, limit: int) -> int:
    """Return a whole number in [0, limit)."""
    return i64(bits >> _S33) % i64(limit)
