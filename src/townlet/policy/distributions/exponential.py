"""The exponential in kernels: the same bits on every processor, and many at once.

exp(x) = 2ⁿ·exp(r),  n = ⌊x ÷ ln 2 + ½⌋,  r = x − n·ln 2,  |r| ≤ ½·ln 2

n·ln 2 is subtracted in two parts; the first has so few bits that its product is exact (Cody and Waite 1980, "Software
Manual for the Elementary Functions"). exp(r) is the beginning of its Taylor series.
"""

import math
from typing import Any, cast

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from townlet.compiled import kernel

__all__ = ["exponential", "exponential_constants"]

Real = np.floating[Any]

_IS_PLAIN = bool(cast("Any", numba.config).DISABLE_JIT)


_LN_2 = (0.693145751953125, 1.4286068203094173e-06)
"""ln 2 in two parts, the first a whole number of 2⁻¹⁵."""


def exponential_constants(kind: type[Real]) -> tuple[Real, ...]:
    """Return what `exponential` needs for numbers of this kind, float32 or float64."""
    limits = np.finfo(kind)
    ends = (
        limits.minexp * math.log(2),
        (limits.maxexp - 0.6) * math.log(2),
        limits.minexp,
        limits.maxexp - 1,
        0.0,
        math.inf,
    )
    series = (1 / math.factorial(power) for power in range(14))
    return tuple(map(kind, (1 / math.log(2), 0.5, *_LN_2, *ends, *series)))


@intrinsic
def _compiled_power_of_two(_: Any, power: Any) -> tuple[Any, Any]:
    bits, fraction, bias = (32, 23, 127) if power == types.float32 else (64, 52, 1023)

    def shift(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        whole = ir.IntType(bits)
        number = builder.add(builder.fptosi(arguments[0], whole), whole(bias))
        return builder.bitcast(builder.shl(number, whole(fraction)), arguments[0].type)

    return power(power), shift


def _plain_power_of_two(power: Real) -> Real:
    return cast("Real", np.ldexp(power.dtype.type(1), int(power)))


power_of_two: Any = _plain_power_of_two if _IS_PLAIN else _compiled_power_of_two


@kernel
def exponential(x: Real, constants: tuple[Real, ...]) -> Real:
    """Return exp(x), to the rounding of its kind; 0 below the smallest normal number, infinity above 2¹²⁷ and 2¹⁰²³.

    `constants` are those of `exponential_constants`.
    """
    per_ln_2, half, high, low, least, largest, least_power, largest_power, zero, infinity = constants[:10]
    c = constants[10:]
    power = np.floor(x * per_ln_2 + half)
    power = power if least_power <= power <= largest_power else zero  # where it is not used, or NaN
    r = (x - power * high) - power * low
    y = r * c[13] + c[12]
    y = (y * r + c[11]) * r + c[10]
    y = (y * r + c[9]) * r + c[8]
    y = (y * r + c[7]) * r + c[6]
    y = (y * r + c[5]) * r + c[4]
    y = (y * r + c[3]) * r + c[2]
    y = ((y * r + c[1]) * r + c[0]) * power_of_two(power)
    return zero if x < least else (infinity if x > largest else y)
