// Equality of states: hashes of registers, memory queues and live buffer words, and states that never change again.
#pragma once

#include "record.h"

namespace {

uint64_t g_words64 = 0;          // 64-bit words of a live set
std::vector<uint64_t> g_points;  // cycles in which states are compared, ascending
size_t g_point = 0;              // the first of them that is not before g_cycle
std::vector<uint64_t> g_live, g_control_hash, g_passing_hash, g_buffer_hash;
std::vector<uint8_t> g_boundary;  // points at which different buffers are worth a look

constexpr size_t GROUPS = 8;  // of PASSING registers
std::vector<uint8_t> g_role;  // of each register: a Role, or PASSING + its group

uint64_t mix(uint64_t a, uint64_t b) {
    const auto product = static_cast<unsigned __int128>(a ^ 0x9E3779B97F4A7C15ull) * (b ^ 0xD6E8FEB86659FD93ull);
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t hash_bytes(uint64_t hash, const uint8_t* data, uint64_t bytes) {
    for (; bytes >= 8; bytes -= 8, data += 8) {
        uint64_t word;
        std::memcpy(&word, data, 8);
        hash = mix(hash, word) + word;
    }
    if (bytes) {
        uint64_t word = 0;
        std::memcpy(&word, data, bytes);
        hash = mix(hash, word) + word + bytes;
    }
    return hash;
}

uint64_t hash_burst(uint64_t hash, const Burst& b) {
    const uint64_t wait = b.due > g_memory.now ? b.due - g_memory.now : 0;
    hash = mix(hash, b.address);
    hash = mix(hash, wait);
    hash = mix(hash, static_cast<uint64_t>(b.beats) << 32 | b.done);
    return mix(hash, static_cast<uint64_t>(b.size) << 32 | b.type << 16 | b.id << 8 | b.response);
}

// Queues and channels of the AXI memory; times are relative, because only differences of them act.
uint64_t hash_memory() {
    const Memory& m = g_memory;
    uint64_t hash = mix(m.random, (m.next_read > m.now ? m.next_read - m.now : 0) << 20 |
                                      (m.next_write > m.now + 1 ? m.next_write - m.now : 0));
    for (const auto* queue : {&m.reads, &m.writes, &m.responses}) {
        hash = mix(hash, queue->size());
        for (const Burst& burst : *queue) hash = hash_burst(hash, burst);
    }
    hash = hash_burst(hash_burst(hash, m.read_now), m.response_now);
    hash = hash_bytes(hash, m.beat, sizeof m.beat);
    hash = mix(hash, m.beat_response | m.reading << 8 | m.ar_ready << 9 | m.aw_ready << 10 | m.w_ready << 11 |
                         m.r_valid << 12 | m.b_valid << 13);
    for (const Held& held : m.held) {
        hash = mix(hash, held.waiting);
        if (held.waiting) hash = hash_bytes(hash, held.payload.data(), held.payload.size());
    }
    return hash;
}

// Everything but the buffers, the observers and the passing registers.
uint64_t hash_control() {
    uint64_t hash = hash_memory();
    for (size_t i = 0; i < g_registers.size(); ++i)
        if (g_role[i] == STATE) hash = hash_bytes(hash, g_registers[i].data, g_registers[i].size());
    if (BEHAVIOURAL)
        g_array.each(
            [&](const void* data, size_t bytes) { hash = hash_bytes(hash, static_cast<const uint8_t*>(data), bytes); });
    return hash;
}

void hash_passing(uint64_t* hashes) {
    std::fill_n(hashes, GROUPS, 0);
    for (size_t i = 0; i < g_registers.size(); ++i)
        if (g_role[i] >= PASSING) {
            uint64_t& hash = hashes[g_role[i] - PASSING];
            hash = hash_bytes(hash, g_registers[i].data, g_registers[i].size());
        }
}

// Bit k: group k of the passing registers differs from the fault-free run.
uint64_t different_groups(size_t point) {
    uint64_t hashes[GROUPS], different = 0;
    hash_passing(hashes);
    for (size_t k = 0; k < GROUPS; ++k)
        different |= static_cast<uint64_t>(hashes[k] != g_passing_hash[point * GROUPS + k]) << k;
    return different;
}

uint64_t hash_word(uint64_t bit, const uint8_t* data, uint64_t bytes) {
    return hash_bytes(mix(~bit, bit), data, bytes);
}

// A sum over the live words of a point: what one word adds to it can be exchanged (fe_word_hash).
uint64_t hash_buffers(size_t point) {
    const uint64_t* const live = &g_live[point * g_words64];
    uint64_t hash = 0;
    for (const Buffer& b : g_buffers) {
        for (uint32_t word = 0; word < b.memory.words; ++word) {
            const uint64_t bit = b.first_bit + word;
            const uint64_t rest = live[bit / 64] >> (bit % 64);
            if (!rest) {
                word += static_cast<uint32_t>(63 - bit % 64);
                continue;
            }
            if (rest & 1)
                hash += hash_word(bit, b.memory.data + static_cast<uint64_t>(word) * b.memory.bytes, b.memory.bytes);
        }
    }
    return hash;
}

void find_point() {
    g_point = static_cast<size_t>(std::lower_bound(g_points.begin(), g_points.end(), g_cycle) - g_points.begin());
}

// Whether states are compared in this cycle; time must only have moved forward since find_point().
bool at_point() {
    while (g_point < g_points.size() && g_points[g_point] < g_cycle) ++g_point;
    return g_point < g_points.size() && g_points[g_point] == g_cycle;
}

// A copy of all storage but the cycle counter.
void copy_storage(std::vector<uint8_t>& copy) {
    copy.clear();
    for (const Var& var : g_registers)
        if (var.data != g_signals.cycles.data) copy.insert(copy.end(), var.data, var.data + var.size());
    for (const Buffer& b : g_buffers) copy.insert(copy.end(), b.memory.data, b.memory.data + b.memory.size());
    if (BEHAVIOURAL)
        g_array.each([&](const void* data, size_t bytes) {
            const auto* const first = static_cast<const uint8_t*>(data);
            copy.insert(copy.end(), first, first + bytes);
        });
}

constexpr uint64_t LONGEST_PERIOD = 64;  // cycles; a ring of registers goes round with the control that it delays
constexpr size_t FEW_BYTES = 16;         // that such rings change in one cycle

uint64_t g_skipped = 0;  // cycles of the faulty run that were not simulated

// If some steps change nothing but the cycle counter and the memory's clock, none ever will until the watchdog expires,
// which is all that depends on the counter: goes to the last cycle before that, or before `limit`, which is a multiple
// of them away. Steps once in any case.
void skip_frozen(uint64_t limit) {
    static std::vector<uint8_t> before, after;
    const uint64_t memory = hash_memory(), now = g_memory.now, start = g_cycle;
    const uint64_t clock = value(g_signals.cycles), watchdog = value(g_signals.watchdog);
    copy_storage(before);
    do {
        step();
        if (g_cycle >= limit || value(g_signals.irq)) return;
        copy_storage(after);
        size_t different = 0;
        for (size_t i = 0; i < before.size() && different <= FEW_BYTES; ++i) different += before[i] != after[i];
        if (different > FEW_BYTES || g_cycle - start == LONGEST_PERIOD) return;
    } while (before != after || hash_memory() != memory);
    const uint64_t period = g_cycle - start, counts = value(g_signals.cycles) - clock, ticks = g_memory.now - now;
    if ((counts && counts != period) || (ticks && ticks != period)) return;
    uint64_t cycles = limit - g_cycle;
    if (counts && watchdog > clock) {
        const uint64_t last = clock + period + 1;
        cycles = watchdog > last ? std::min(cycles, watchdog - last) : 0;
    }
    cycles -= cycles % period;
    if (!cycles) return;
    g_cycle += cycles;
    g_skipped += cycles;
    g_memory.now += ticks ? cycles : 0;
    g_context->timeInc(PERIOD * cycles);
    put(g_signals.cycles, value(g_signals.cycles) + (counts ? cycles : 0));
    g_top->eval();
}

}  // namespace
