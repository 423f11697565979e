// What runs leave behind: accesses of the buffers, changes of token counters, read bursts, and every write of memory
// with the bytes before and after it, so that memory can be put back to any moment of the fault-free run.
#pragma once

#include <unordered_map>

#include "fitact_layout.h"
#include "machine.h"

namespace {

struct Difference {
    std::vector<uint64_t> blocks, cycles;  // cycle of the faulty run's last write, all ones if it never wrote the block
    std::vector<uint8_t> bytes;            // of each block: fault-free, faulty
};

bool g_faulty = false, g_tracing = false;
std::vector<Write> g_log, g_journal;  // writes of the fault-free run; of the faulty run since it was forked
size_t g_place = 0;                   // so many writes of the log are in memory
std::vector<Request> g_requests;
std::vector<uint64_t> g_accesses, g_token_changes;
Difference g_difference;

uint64_t block_bytes(uint64_t block) { return std::min<uint64_t>(BLOCK_BYTES, g_memory.size - block); }

void trace_accesses() {
    for (size_t i = 0; i < g_buffers.size(); ++i) {
        const Buffer& b = g_buffers[i];
        if (value(b.rd_en)) g_accesses.push_back(access_key(g_cycle, value(b.rd_addr), i, 0));
        if (value(b.wr_en)) g_accesses.push_back(access_key(g_cycle, value(b.wr_addr), i, 1));
    }
    for (size_t i = 0; i < g_tokens.size(); ++i) {
        Token& t = g_tokens[i];
        const uint64_t count = value(t.count), waits = !count && value(t.valid) && value(t.pop);
        const uint64_t state = token_key(0, i, count, waits);
        if (state != t.seen) g_token_changes.push_back(token_key(g_cycle, i, count, waits));
        t.seen = state;
    }
    const Signals& s = g_signals;
    if (value(s.m_arvalid) && g_memory.ar_ready)
        g_requests.push_back({g_cycle + 1, value(s.m_araddr), (value(s.m_arlen) + 1) << value(s.m_arsize)});
}

// Bits that flip in a cycle, or are forced to a value at the falling edge of every cycle from `first` to `last`.
struct Action {
    Var var;
    uint32_t word;
    std::vector<uint8_t> mask;
    int kind;  // 0, 1: the value; 2: flip
    uint64_t first, last;
};

std::vector<Action> g_actions;  // of the faulty run

// Acts if it is due in this cycle; whether that changed something.
bool act(const Action& a) {
    if (g_cycle < a.first || g_cycle > a.last) return false;
    bool changed = false;
    uint8_t* const data = a.var.data + static_cast<uint64_t>(a.word) * a.var.bytes;
    for (uint32_t i = 0; i < a.var.bytes; ++i) {
        const uint8_t before = data[i], mask = a.mask[i];
        data[i] = static_cast<uint8_t>(a.kind == 0 ? before & ~mask : a.kind == 1 ? before | mask : before ^ mask);
        changed |= data[i] != before;
    }
    return changed;
}

void act_all() {
    bool changed = false;
    for (const Action& a : g_actions) changed |= act(a);
    if (changed) g_top->eval();
}

// Whether some have still to act: until then the run cannot be equal to the fault-free one for good.
bool acting() {
    if (!g_strikes.empty()) return true;
    for (const Action& a : g_actions)
        if (g_cycle < a.last) return true;
    return false;
}

void period() {
    toggle();
    if (!g_actions.empty()) act_all();
}

// From the falling edge of a cycle to that of the next.
void step() {
    if (g_tracing) trace_accesses();
    if (!value(g_signals.m_wvalid) || !g_memory.w_ready || g_memory.writes.empty()) return period();
    Write write;
    write.address = g_memory.writes.front().beat_address();
    write.block = write.address & ~static_cast<uint64_t>(BLOCK_BYTES - 1);
    if (write.block >= g_memory.size) return period();
    const uint64_t count = block_bytes(write.block);
    std::memcpy(write.before, g_memory.data + write.block, count);
    period();
    write.cycle = g_cycle;
    std::memcpy(write.after, g_memory.data + write.block, count);
    (g_faulty ? g_journal : g_log).push_back(write);
    if (!g_faulty) g_place = g_log.size();
}

// Memory as after the first `place` writes of the fault-free run.
void seek(size_t place) {
    for (; g_place < place; ++g_place)
        std::memcpy(g_memory.data + g_log[g_place].block, g_log[g_place].after, block_bytes(g_log[g_place].block));
    for (; g_place > place; --g_place)
        std::memcpy(g_memory.data + g_log[g_place - 1].block, g_log[g_place - 1].before,
                    block_bytes(g_log[g_place - 1].block));
}

void undo_journal() {
    for (auto write = g_journal.rbegin(); write != g_journal.rend(); ++write)
        std::memcpy(g_memory.data + write->block, write->before, block_bytes(write->block));
    g_journal.clear();
}

// Blocks in which memory differs from that of the fault-free run in the same cycle.
void compare_memory() {
    std::unordered_map<uint64_t, const uint8_t*> expected;
    std::unordered_map<uint64_t, uint64_t> written;
    for (const Write& write : g_journal) {
        expected.emplace(write.block, write.before);  // the first one: as forked
        written[write.block] = write.cycle;
    }
    for (size_t i = g_place; i < g_log.size() && g_log[i].cycle <= g_cycle; ++i)
        expected[g_log[i].block] = g_log[i].after;
    Difference& d = g_difference;
    d = Difference();
    for (const auto& [block, bytes] : expected) {
        const uint64_t count = block_bytes(block);
        if (!std::memcmp(g_memory.data + block, bytes, count)) continue;
        d.blocks.push_back(block);
        d.cycles.push_back(written.count(block) ? written[block] : UINT64_MAX);
        d.bytes.resize(2 * BLOCK_BYTES * d.blocks.size());
        uint8_t* const place = d.bytes.data() + d.bytes.size() - 2 * BLOCK_BYTES;
        std::memcpy(place, bytes, count);
        std::memcpy(place + BLOCK_BYTES, g_memory.data + block, count);
    }
}

}  // namespace
