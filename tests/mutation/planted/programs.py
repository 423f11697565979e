"""More bugs of compiler and functional simulator: tiling, cost, order, tokens, layout, transfers, inputs, timing."""

from __future__ import annotations

from functools import partial

from tests.mutation.mutant import planted_in

_in = partial(planted_in, "compiler")
SAME = "tests/compiler/test_same_programs.py"
RUNS = f"{SAME} tests/compiler/test_fsim.py tests/compiler/test_random_networks.py tests/compiler/test_networks.py"

MUTANTS = [
    *_in(
        "fitact_hw/compiler/tiling.py",
        RUNS,
        ("starts = [i * base + min(i, extra)", "starts = [i * base + max(0, i - parts + extra)"),
        ("return -(-self.layer.out_shape[0] // self.side)", "return self.layer.out_shape[0] // self.side + 1"),
        ("min(s.size, extent - s.start)", "s.size"),
        ("rows.kernel == 1 and not rows.padded", "rows.kernel == 1"),
        ("self.layer.weight is None or self.layer.residual is not None", "self.layer.weight is None"),
        ("if high <= 0:", "if high < 0:"),
        ("return Window(0, 1, high - low, 0, 0)", "return Window(0, 1, high - low - 1, 0, 0)"),
        ("if low >= extent:", "if low > extent:"),
        ("return Window(extent - 1, 1, 0, high - low, 1)", "return Window(extent - 1, 1, 0, high - low, 0)"),
        ("max(0, high - extent), 0)", "max(0, high - extent + 1), 0)"),
        ("act_words // row_words[kernel]", "(act_words - 1) // row_words[kernel]"),
        ("-(-tiles // together)", "tiles // together"),
        ("{*rows[:2], *rows[-2:]}, {*cols[:2], *cols[-2:]}", "{*rows[:1]}, {*cols[:1]}"),
        ("starts = range(kernel - size + 1)", "starts = range(1)"),
        ("residual = 1 if layer.residual is not None else 0", "residual = 0"),
        (
            "reloaded = passes if geometry.moves or layer.weight is None or not plan.resident else tile_count",
            "reloaded = tile_count",
        ),
        ("store = passes * (tile.pixels * beats + LOAD_LATENCY)", "store = passes * (tile.pixels + LOAD_LATENCY)"),
        ("if 2 * bounds > config.bound_words:", "if bounds > config.bound_words:"),
        (
            "if slots == 1 or 2 * tile.pixels > config.output_words",
            "if slots == 1 or tile.pixels > config.output_words",
        ),
        ("max(compute, load, store) + exposed", "max(compute, load) + exposed"),
        (
            "capacity = min(config.activation_words - slots * pixels, MAX_WORDS)",
            "capacity = min(config.activation_words, MAX_WORDS)",
        ),
        ("max(words) * len(chunks) <= capacity", "max(words) * len(chunks) < capacity"),
        (
            "if best is None or plan.cycles < best.cycles:\n                best = plan\n    return best",
            "if best is None or plan.cycles <= best.cycles:\n                best = plan\n    return best",
        ),
        ("for share in (4, 2, 1):", "for share in (2, 1):"),
        ("if best is not None and col_parts >= 2:", "if best is not None and col_parts >= 1:"),
        ("geometry.side * (kernel + geometry.uses_identity)", "geometry.side * kernel"),
    ),
    *_in(
        "fitact_hw/compiler/schedule.py",
        RUNS,
        ("waits[COMPUTE] = max(waits.get(COMPUTE, -1), sync_op[slot])", "waits[COMPUTE] = sync_op[slot]"),
        (
            "waits = {LOAD: max(load_op[number] for number in piece.needs)}",
            "waits = {LOAD: min(load_op[number] for number in piece.needs)}",
        ),
        ("wanted = floor[buffer] = max(wanted, floor[buffer])", "wanted = max(wanted, floor[buffer])"),
        ("slot = max(slot, item.source + 1)", "slot = max(slot, item.source)"),
        ("(slot, max(source, self._syncs[-1][1]))", "(slot, source)"),
        ("if needed <= covered[channel]:", "if needed < covered[channel]:"),
        ("len(position[producer]) - TOKEN_WINDOW", "len(position[producer]) - 2 * TOKEN_WINDOW"),
        ('"pop_prev" if downstream else "pop_next"', '"pop_next" if downstream else "pop_prev"'),
        ("2 * self.config.side + words * beats", "self.config.side + words * beats"),
        ("item.after + 1, bisect_right(self._start, ahead) - 1", "item.after + 1, bisect_right(self._start, ahead)"),
        ("key=lambda item: item[1])", "key=lambda item: item[0])"),
    ),
    *_in(
        "fitact_hw/compiler/lower.py",
        RUNS,
        ("hit[0], hit[-1] + 1", "hit[0], hit[0] + 1"),
        (
            "p.start < span.start + span.size and span.start < p.start + p.size",
            "p.start <= span.start < p.start + p.size",
        ),
        ("if out_tile % 2 and not self.tiling.resident:", "if out_tile % 2:"),
        ("position == len(order) - 1 and layer.residual is None", "position == len(order) - 1"),
        ("acts.start + rows.offset * cols.total + cols.offset", "acts.start + rows.offset + cols.offset"),
        ("layer.rows.stride // step * cols.total if", "layer.rows.stride * cols.total if"),
        ("Span(rows.first, (rows.count - 1) * step + 1)", "Span(rows.first, rows.count)"),
        ('"weight_stride": 0 if pool else geometry.side', '"weight_stride": geometry.side'),
        ("passes * max(tile.pixels, side, RMW_CYCLES)", "passes * tile.pixels"),
        ("group = max(1, config.bias_words // 2)", "group = config.bias_words"),
        ("bias.start + out_tile - first", "bias.start"),
        ("out_tile // group * group // pack, out_tile % group", "out_tile // group * group // pack, out_tile // group"),
        ("region.start * pack + place", "region.start + place"),
        ("addresses.bound_base % (1 << BASE_BITS)", "addresses.bound_base"),
        ("base += size\n", "base += load.words\n"),
        (
            "self.transfers.append(Transfer(fields, piece, after, source))",
            "self.transfers.append(Transfer(fields, piece, -1, source))",
        ),
        (
            "self.transfers.append(Transfer(fields, piece, after, source))",
            "self.transfers.append(Transfer(fields, piece, after, -1))",
        ),
    ),
    *_in(
        "fitact_hw/compiler/layout.py",
        RUNS,
        ("ALIGNMENT = 512", "ALIGNMENT = 256"),
        ("(bits * np.arange(pack))", "(bits * np.arange(pack)[::-1])"),
        (
            "low | shift.astype(np.uint64) << np.uint64(config.acc_bits)",
            "low | shift.astype(np.uint64) << np.uint64(config.acc_bits - 1)",
        ),
        ("lanes[:count, 1] = shift", "lanes[:count, 0] = shift"),
        (".transpose(0, 4, 5, 2, 3, 1)", ".transpose(0, 5, 4, 2, 3, 1)"),
        ("sum(sizes[:i]) for i in", "sum(sizes[:i + 1]) for i in"),
    ),
    *_in(
        "fitact_hw/compiler/transfers.py",
        RUNS,
        (
            "(tile * tensor.images + image) * rows + row) * cols + col",
            "(tile + image * tensor.tiles) * rows + row) * cols + col",
        ),
        ("if images.size == tensor.images or tiles.size == 1:", "if images.size == tensor.images:"),
        ('"row_stride": step * width * word', '"row_stride": width * word'),
        ('"plane_stride": distance * height * width * word', '"plane_stride": height * width * word'),
        (
            "return WindowLoad(tuple(loads), sizes, plane, tiles.size * plane)",
            "return WindowLoad(tuple(loads), sizes, plane, plane)",
        ),
        (
            "loads.append(fields if padded or step > 1 else _merge(fields, word))",
            "loads.append(fields if step > 1 else _merge(fields, word))",
        ),
        ('result["cols"] * word == fields["plane_stride"] and joined <= LONGEST', "joined <= LONGEST"),
    ),
    *_in(
        "fitact_hw/compiler/inputs.py",
        RUNS,
        (">= positions * -(-channels // side)", "> positions * -(-channels // side)"),
        ("sources.count(INPUT) != 1", "sources.count(INPUT) > 2"),
        ("windows[:, :, ::down, ::across]", "windows[:, :, ::across, ::down]"),
        ("windows.transpose(0, 1, 4, 5, 2, 3)", "windows.transpose(0, 1, 5, 4, 2, 3)"),
        ("int(qimages.max()) >= limit", "int(qimages.max()) > limit"),
    ),
    *_in(
        "fitact_hw/fsim/timing.py",
        SAME,
        ("drain = 2 * side + RMW_CYCLES", "drain = side + RMW_CYCLES"),
        ("interval = max(pixels, side, RMW_CYCLES)", "interval = max(pixels, RMW_CYCLES)"),
        ("max(self.dispatch + beats, self.started[unit][0])", "self.dispatch + beats"),
        ("max(start + rows, done - self.model.load_latency)", "done - self.model.load_latency"),
        ("duration = real * beats + zeros", "duration = real * beats"),
        ("(config.bias_word_bytes if bias else config.word_bytes)", "config.word_bytes"),
        ("first = max(start + side + 1, self.streamed)", "first = start + side + 1"),
        ("program.config.side**2", "program.config.side"),
        ("latest = max([latest, *done[span.first : span.last]])", "latest = max(done[span.first : span.last])"),
    ),
    *_in(
        "fitact_hw/fsim/machine.py",
        "tests/compiler/test_fsim.py tests/compiler/test_random_networks.py",
        ("len(queue) >= self.program.config.queue_depth", "len(queue) > self.program.config.queue_depth"),
        ("self.tokens[channel] > MOST_TOKENS", "self.tokens[channel] >= MOST_TOKENS"),
        ("if not self.written[buffer][self._within(buffer, words)].all():", "if False:"),
        ("int(addresses.max()) + size > self.memory.size", "int(addresses.max()) > self.memory.size"),
        (".max(axis=0)\n\n    def _gemm", ".max(axis=1)\n\n    def _gemm"),
        ("np.minimum(decode(codes, base), (1 << (config.word_bits - 1)) - 1)", "decode(codes, base)"),
    ),
    *_in(
        "fitact_hw/fsim/access.py",
        "tests/compiler/test_fsim.py tests/compiler/test_random_networks.py",
        ('field["pad_top"] + row) * width + field["pad_left"]', 'field["pad_top"] + row) * width + field["pad_right"]'),
        ("if several or first_mode in (AccMode.ADD, AccMode.MAX):", "if first_mode in (AccMode.ADD, AccMode.MAX):"),
        ("if several or not last:", "if not last:"),
        ("(cols - 1) // PATCH_SIDE + 1", "cols // PATCH_SIDE"),
        ("if top >= limit or int(words.min()) < 0:", "if top > limit or int(words.min()) < 0:"),
        ("count = -(-size // config.word_bytes)", "count = 1"),
    ),
]
