"""Bugs of engine, campaign and statistics: of what judges upsets."""

from __future__ import annotations

from functools import partial

from tests.mutation.mutant import planted_in

_in = partial(planted_in, "campaign")
STATISTICS = "tests/reporting/test_statistics.py"

MUTANTS = [
    *_in(
        "fitact_hw/faults.py",
        "tests/injection/test_classification.py tests/sim/test_faults.py",
        (
            "    if not finished:\n        return Outcome.HANG\n    if detected:\n        return Outcome.DETECTED\n",
            "    if detected:\n        return Outcome.DETECTED\n    if not finished:\n        return Outcome.HANG\n",
        ),
        ("CODE_OUTCOMES.get(code, Outcome.DETECTED)", "CODE_OUTCOMES.get(code, Outcome.HANG)"),
        ("ErrorCode.BUS: Outcome.BUS_ERROR", "ErrorCode.BUS: Outcome.DETECTED"),
        ("same.all()", "same.any()"),
        ("    if code:\n", "    if code and not finished:\n"),
        ("HANG_FACTOR = 2", "HANG_FACTOR = 3"),
        ("watchdog + watchdog // 2", "watchdog + 1"),
        ("min(word // k, rows - height)", "word // k"),
        ("min(bit * k + word % k, columns - width)", "bit * k + word % k"),
        ("hit = r * k + c % k", "hit = r * k + c // storage.width % k"),
        ('side="right")', 'side="left")'),
        ("if hit < storage.depth:", "if hit <= storage.depth:"),
    ),
    *_in(
        "fitact_hw/reporting/statistics.py",
        STATISTICS,
        ("margin**2 * (population - 1)", "margin**2 * population"),
        ("t**2 * p * (1 - p)", "t**2 * p"),
        ("(bad + 1) / (drawn + 2)", "bad / drawn"),
        ("(bad + 1) / (drawn + 2)", "(bad + 0.5) / (drawn + 1)"),
        ("smoothed * (1 - smoothed) / max(1, drawn)", "smoothed * (1 - smoothed) / (drawn + 2)"),
        ("variance += (weights[name] / total) ** 2", "variance += weights[name] / total"),
        ("round(centre * (1 - centre) / variance)", "round(value * (1 - value) / variance)"),
        ("value * (1 - value) / size + z2 / (4 * size**2)", "value * (1 - value) / size + z2 / (4 * size)"),
        ("0.5 + confidence / 2", "confidence"),
        ("(first + 1) / (count + 2), (second + 1) / (count + 2)", "first / count, second / count"),
        ("variance += share**2 * (one + other - (one - other) ** 2)", "variance += share**2 * (one + other)"),
        (
            "low=rest * self.low,\n            high=rest * self.high + unsampled,",
            "low=rest * self.low,\n            high=rest * self.high,",
        ),
        ("low=rest * self.low - unsampled", "low=rest * self.low"),
        ("self.low > 0 or self.high < 0", "self.low > 0"),
        ("value += weights[name] / total * bad / max(1, drawn)", "value += weights[name] / total * smoothed"),
    ),
    *_in(
        "fitact_hw/reporting/map_statistics.py",
        "tests/reporting/test_map_statistics.py",
        ("if np.ptp(values) == 0:", "if np.ptp(values) < 1e-6:"),
        ('_bootstrap(values, "BCa", seed)', '_bootstrap(values, "percentile", seed)'),
        ("CONFIDENCE = 0.95", "CONFIDENCE = 0.9"),
        ("rng=np.random.default_rng(seed)", "rng=np.random.default_rng(0)"),
        ("mean_interval(values - rival, seed)", "mean_interval(values, seed)"),
        ("ENOUGH_MAPS = 10", "ENOUGH_MAPS = 9"),
    ),
    *_in(
        "sim/engine/states.h",
        "tests/injection/test_state_hash.py",
        ("    hash = mix(hash, b.address);\n", ""),
        ("    hash = mix(hash, wait);\n", ""),
        ("static_cast<uint64_t>(b.beats) << 32 | b.done", "static_cast<uint64_t>(b.beats) << 32"),
        ("b.id << 8 | b.response", "b.id << 8"),
        ("{&m.reads, &m.writes, &m.responses}", "{&m.reads, &m.writes}"),
        ("hash_burst(hash_burst(hash, m.read_now), m.response_now)", "hash_burst(hash, m.response_now)"),
        ("    hash = hash_bytes(hash, m.beat, sizeof m.beat);\n", ""),
        ("m.beat_response | m.reading << 8", "m.reading << 8"),
        ("m.r_valid << 12 | m.b_valid << 13", "m.r_valid << 12"),
        (
            "        hash = mix(hash, held.waiting);\n",
            "",
            "what waits adds its payload, which is never empty; which channel it is on is in the machine's registers",
        ),
        (" << 20 |\n                                      (m.next_write > m.now + 1 ? m.next_write - m.now : 0)", ""),
        ("bytes >= 8; bytes -= 8, data += 8", "bytes >= 16; bytes -= 8, data += 8"),
        ("if (g_role[i] == STATE) hash", "if (g_role[i] == STATE && i % 7) hash"),
        ("g_passing_hash[point * GROUPS + k]) << k", "g_passing_hash[point * GROUPS + k]) << 0"),
    ),
    *_in(
        "sim/engine/engine.cpp",
        "tests/injection/test_state_hash.py tests/injection/test_engine.py",
        ("return different_groups(g_point) ? NEARLY : RECONVERGED", "return RECONVERGED"),
        ("for (uint32_t i = 0; i < var.bytes; ++i) data[i] ^= mask[i];", "data[0] ^= mask[0];"),
        ("        if (g_boundary[g_point]) return NEARLY;\n", "        return NEARLY;\n"),
    ),
    *_in(
        "sim/engine/library.py",
        "tests/injection/test_state_hash.py tests/injection/test_engine.py",
        ('r"u_load\\.word_q": ("u_load.slot_q", "u_load.wr_en_q")', 'r"u_load\\.word_q": ("u_load.wr_en_q",)'),
        ('r"u_load\\.word_q": ("u_load.slot_q", "u_load.wr_en_q")', 'r"u_load\\.word_q": ("u_load.slot_q",)'),
        ('r"u_store\\.wdata_q": ("u_store.wvalid_q",)', 'r"u_store\\.wdata_q": ("u_store.held_q",)'),
        (
            'r"u_buffers\\.u_output\\.rd_data_q": ("u_store.held_q",)',
            'r"u_buffers\\.u_output\\.rd_data_q": ("u_store.wvalid_q",)',
        ),
        ('_LANE + "sum_q": _SUMS', '_LANE + "sum_q": _RESULTS'),
    ),
    *_in(
        "fitact_hw/injection/observed.py",
        "tests/injection/test_state_hash.py tests/injection/test_engine.py",
        ("if library.passing_matters:", "if False:"),
        ("count + left > watchdog", "count + left >= 2 * watchdog"),
        ("self.first[place] < base or self.last[place] > last", "self.first[place] < base"),
    ),
    *_in(
        "fitact_hw/injection/memory_map.py",
        "tests/injection/test_handover.py tests/injection/test_engine.py",
        ("            if number and self.ends[name] > cycle:\n                return None\n", ""),
        ("if self.last_write[number] > cycle:\n            return None\n        if", "if"),
        ("fixed = frozenset(name for name in self.order if self.ends[name] <= cycle)", "fixed = frozenset(self.order)"),
        ("fixed = frozenset(name for name in self.order if self.ends[name] <= cycle)", "fixed = frozenset()"),
        ("name != self.order[-1] and all", "all"),
        (
            "self.ends[reader] <= cycle for reader in self.consumers[name]",
            "self.ends[reader] <= cycle for reader in self.consumers[name][:1]",
        ),
        ("            readers[layer.residual.source].append(layer.name)\n", "            pass\n"),
        ("if self.next_reads[i] and self.next_cycle[i] < cycle:", "if False:"),
        ("if channel < channels:", "if True:"),
        ("if word.written < first_read else None", "if True else None"),
    ),
    *_in(
        "fitact_hw/injection/tail.py",
        "tests/injection/test_handover.py tests/injection/test_engine.py",
        ("sorted(row for row in reached if layer.name not in runs[row].fixed)", "sorted(reached)"),
        ("for row in different[name].rows.tolist()} - given", "for row in different[name].rows.tolist()}"),
        ("data[torch.from_numpy(found.rows[place] != rows)] = clean", "pass"),
        ("Words(data, max(found.words.peak, self._peaks[name]))", "Words(data, 0.0)"),
        (
            "order[change.layer] for change in runs[number].changes",
            "-order[change.layer] for change in runs[number].changes",
            "an order of the runs that only decides which are taken together",
        ),
    ),
]
