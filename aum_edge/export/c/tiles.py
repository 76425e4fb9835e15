"""The matrix product's innermost loops, written out.

Every accumulator has a name, so that it stays in a register whatever the compiler unrolls.
"""

from __future__ import annotations

from pathlib import Path

PIECES = Path(__file__).parent / "csrc"
SHAPES = """\
#if LANES == 16
enum { TILE_VECTORS = 3, TILE_ROWS = 6, TILE_ROWS_1 = 12 };
#define TILES 3
#elif LANES == 8
enum { TILE_VECTORS = 2, TILE_ROWS = 6, TILE_ROWS_1 = 12 };
#define TILES 2
#elif defined(__aarch64__)
enum { TILE_VECTORS = 4, TILE_ROWS = 6, TILE_ROWS_1 = 12 };
#define TILES 4
#elif LANES == 4
enum { TILE_VECTORS = 2, TILE_ROWS = 6, TILE_ROWS_1 = 12 };
#define TILES 2
#elif defined(__x86_64__) || defined(__i386__)
/* Sixteen registers hold no more. */
enum { TILE_VECTORS = 3, TILE_ROWS = 3, TILE_ROWS_1 = 4 };
#define TILES 3
#else
enum { TILE_VECTORS = 4, TILE_ROWS = 4, TILE_ROWS_1 = 4 };
#define TILES 4
#endif
static const float ZEROS[4 * LANES] = {0};
"""
FEW = (1, 2, 3, 4, 5, 6)
ROWS = {1: (*FEW, 12), 2: FEW, 3: FEW, 4: FEW}
"""Rows of the tiles of so many vectors."""


def piece(name: str) -> str:
    """A part of the engine's source."""
    return (PIECES / name).read_text(encoding="utf-8")


def gemm_source() -> str:
    """The matrix product with its tiles."""
    parts = [SHAPES]
    for vectors, heights in ROWS.items():
        parts.append(f"#if TILES >= {vectors}\n")
        for rows in heights:
            guard = _guard(rows, vectors)
            body = _tile(rows, vectors)
            parts.append(f"#if {guard}\n{body}#endif\n" if guard else body)
        parts.append("#endif\n")
    parts.append(_dispatch())
    return piece("gemm.c").replace("@TILES@\n", "\n".join(parts))


def _guard(rows: int, vectors: int) -> str:
    """Where a tile is used: one float at a time takes no more than four rows."""
    return "LANES > 1" if rows > 4 else ""


def _tile(rows: int, vectors: int) -> str:
    cells = [(i, j) for i in range(rows) for j in range(vectors)]
    last = vectors - 1
    lines = [
        f"static void tile_{rows}_{vectors}(const gemm_t *g, ptrdiff_t row, int32_t col,",
        "                     int32_t n)",
        "{",
        "    const ptrdiff_t lda = g->lda, ldw = g->ldw, ldc = g->ldc;",
        "    float *c = g->c + row * ldc + col;",
        "    const float *w = g->w + col;",
        "    const float *from = g->add ? c : g->bias ? g->bias + col : ZEROS;",
    ]
    if rows > 1:
        lines.append("    const ptrdiff_t step = g->add ? ldc : 0;")
    lines.append("    ptrdiff_t s, k;")
    for i, j in cells:
        at = _at("from", i, "step", j)
        load = f"v_load_n({at}, n)" if j == last else f"v_load({at})"
        lines.append(f"    vec c{i}_{j} = {load};")
    lines += [
        "    for (s = 0; s < g->segments; s++) {",
        "        const float *a = g->a[s] + row * lda;",
        "        for (k = 0; k < g->depth; k++) {",
        "            "
        + " ".join(f"const vec w{j} = v_load({_at('w', 0, '', j)});" for j in range(vectors)),
        "            vec x;",
    ]
    for i in range(rows):
        index = "k" if i == 0 else f"{i} * lda + k" if i > 1 else "lda + k"
        fused = " ".join(f"c{i}_{j} = v_fma(x, w{j}, c{i}_{j});" for j in range(vectors))
        lines.append(f"            x = v_set(a[{index}]); {fused}")
    lines += ["            w += ldw;", "        }", "    }", "    if (g->relu) {"]
    lines.append("        const vec zero = v_set(0.0f);")
    lines += [f"        c{i}_{j} = v_max(zero, c{i}_{j});" for i, j in cells]
    lines.append("    }")
    for i, j in cells:
        at = _at("c", i, "ldc", j)
        part = j == last
        lines.append(f"    v_store{'_n' if part else ''}({at}, c{i}_{j}{', n' if part else ''});")
    return "\n".join([*lines, "}", ""])


def _at(base: str, row: int, stride: str, vector: int) -> str:
    rows = "" if row == 0 else f" + {stride}" if row == 1 else f" + {row} * {stride}"
    lanes = "" if vector == 0 else " + LANES" if vector == 1 else f" + {vector} * LANES"
    return f"{base}{rows}{lanes}"


def _dispatch() -> str:
    lines = [
        "static void tile(const gemm_t *g, int32_t row, int32_t col, int32_t rows,",
        "                 int32_t vectors, int32_t n)",
        "{",
        "    switch (16 * vectors + rows) {",
    ]
    for vectors, heights in ROWS.items():
        lines.append(f"#if TILES >= {vectors}")
        for rows in heights:
            guard = _guard(rows, vectors)
            case = f"    case {16 * vectors + rows}: tile_{rows}_{vectors}(g, row, col, n); break;"
            lines += [f"#if {guard}", case, "#endif"] if guard else [case]
        lines.append("#endif")
    return "\n".join([*lines, "    default: break;", "    }", "}", ""])
