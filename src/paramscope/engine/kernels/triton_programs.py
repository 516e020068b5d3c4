"""The programs that run on the GPU, in Triton's Python. A program keeps one patch of the weight on chip.

Per-sample products ``d_n^T a_n`` are accumulated in float32 in registers, multiplied by the patch of W, made absolute
and reduced there. Nothing of a single sample is written. ``triton_tiles`` starts the programs.

Tensors come as pointers: ``inputs`` ``[P, width]`` contiguous, ``gradients`` ``[P, height]`` with a stride between
positions, ``offsets`` ``[N + 1]``, ``weight`` ``[height, width]`` with two strides. No annotations but
``tl.constexpr``, since Triton evaluates them.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _patch(program, height, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr, GROUP: tl.constexpr):
    """Rows ``[ROWS]`` and columns ``[COLUMNS]`` of a program."""
    down, across = tl.cdiv(height, ROWS), tl.cdiv(width, COLUMNS)
    row, column = tl.swizzle2d(program // across, program % across, down, across, GROUP)
    rows = row * ROWS + tl.arange(0, ROWS)
    columns = column * COLUMNS + tl.arange(0, COLUMNS)
    return rows, columns


@triton.jit
def _places(tensor, rows, columns, row_stride, column_stride):
    """Pointers ``[ROWS, COLUMNS]`` into a tensor that may be longer than 32 bits count."""
    return tensor + rows.to(tl.int64)[:, None] * row_stride + columns.to(tl.int64)[None, :] * column_stride


@triton.jit
def _activation(
    inputs,
    gradients,
    gradient_stride,
    weights,
    begin,
    end,
    rows,
    columns,
    height,
    width,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    POSITIONS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """``|W * (d^T a)|`` ``[ROWS, COLUMNS]`` of the sample with the positions from ``begin`` to ``end``."""
    # The sample's place in the tensors may exceed 32 bits and goes into the two pointers; what every thread keeps for
    # its own elements does not.
    gradients += begin * gradient_stride
    inputs += begin * width
    places = tl.arange(0, POSITIONS)[:, None]
    gradient_places = places * gradient_stride + rows[None, :]
    input_places = places * width + columns[None, :]
    count = (end - begin).to(tl.int32)
    product = tl.zeros((ROWS, COLUMNS), tl.float32)
    for start in range(0, count, POSITIONS):
        here = places < count - start
        d = tl.load(gradients + gradient_places, mask=here & (rows < height)[None, :], other=0.0)
        a = tl.load(inputs + input_places, mask=here & (columns < width)[None, :], other=0.0)
        product = tl.dot(tl.trans(d), a, product, input_precision=PRECISION)
        gradients += POSITIONS * gradient_stride
        inputs += POSITIONS * width
    return tl.abs(product * weights.to(tl.float32))


@triton.jit
def mean_kernel(
    inputs,
    gradients,
    gradient_stride,
    offsets,
    weight,
    row_stride,
    column_stride,
    members,
    bounds,
    shares,
    out,
    height,
    width,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    POSITIONS: tl.constexpr,
    GROUP: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """One program for each patch and class of samples: the class's sum of activations times shares."""
    rows, columns = _patch(tl.program_id(0), height, width, ROWS, COLUMNS, GROUP)
    group = tl.program_id(1).to(tl.int64)
    inside = (rows < height)[:, None] & (columns < width)[None, :]
    weights = tl.load(_places(weight, rows, columns, row_stride, column_stride), mask=inside, other=0.0)
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    for place in range(tl.load(bounds + group), tl.load(bounds + group + 1)):
        sample = tl.load(members + place)
        activation = _activation(
            inputs,
            gradients,
            gradient_stride,
            weights,
            tl.load(offsets + sample),
            tl.load(offsets + sample + 1),
            rows,
            columns,
            height,
            width,
            ROWS,
            COLUMNS,
            POSITIONS,
            PRECISION,
        )
        total += activation * tl.load(shares + place)
    tl.store(_places(out + group * height * width, rows, columns, width, 1), total, mask=inside)


@triton.jit
def pair_kernel(
    inputs,
    gradients,
    gradient_stride,
    offsets,
    weight,
    row_stride,
    column_stride,
    gram,
    samples,
    height,
    width,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    POSITIONS: tl.constexpr,
    GROUP: tl.constexpr,
    PRECISION: tl.constexpr,
    STRIP: tl.constexpr,
):
    """One program for each patch and strip of samples: their products with all samples up to the strip's end."""
    rows, columns = _patch(tl.program_id(0), height, width, ROWS, COLUMNS, GROUP)
    # The last strip has the most to do and is started first.
    first = (tl.num_programs(1) - 1 - tl.program_id(1)) * STRIP
    inside = (rows < height)[:, None] & (columns < width)[None, :]
    weights = tl.load(_places(weight, rows, columns, row_stride, column_stride), mask=inside, other=0.0)
    slots = tl.arange(0, STRIP)
    strip = tl.zeros((STRIP, ROWS * COLUMNS), tl.float32)
    for slot in range(STRIP):
        # Behind the last sample a slot has no positions and stays zero.
        activation = _activation(
            inputs,
            gradients,
            gradient_stride,
            weights,
            tl.load(offsets + tl.minimum(first + slot, samples)),
            tl.load(offsets + tl.minimum(first + slot + 1, samples)),
            rows,
            columns,
            height,
            width,
            ROWS,
            COLUMNS,
            POSITIONS,
            PRECISION,
        )
        strip = tl.where((slots == slot)[:, None], tl.reshape(activation, (1, ROWS * COLUMNS)), strip)
    members = first + slots
    for other in range(tl.minimum(first + STRIP, samples)):
        activation = _activation(
            inputs,
            gradients,
            gradient_stride,
            weights,
            tl.load(offsets + other),
            tl.load(offsets + other + 1),
            rows,
            columns,
            height,
            width,
            ROWS,
            COLUMNS,
            POSITIONS,
            PRECISION,
        )
        products = tl.sum(strip * tl.reshape(activation, (1, ROWS * COLUMNS)), 1)
        # Summed in float64 from here on, where the order in which programs arrive shows in the last bits only.
        place = gram + members.to(tl.int64) * samples + other
        tl.atomic_add(place, products.to(tl.float64), mask=(members < samples) & (members >= other), sem="relaxed")
