// AXI4 memory of the test top, and the log of traced events.
//
// The test top calls fitact_memory_cycle() once per clock cycle in which the bus is not idle, with the signals sampled
// at the rising edge; the outputs are registered there. Python (in the same process) calls the other functions through
// ctypes. The memory is a private mapping of a file: a fresh mapping is a fresh memory, and forked runs share what they
// do not change.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <svdpi.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "fitact_layout.h"

namespace {

enum Channel { AR, R, AW, W, B, CHANNELS };
enum Response : uint8_t { OKAY = 0, SLVERR = 2, DECERR = 3 };
constexpr uint8_t POISON = 0xDB;  // on byte lanes that carry no data: a master that uses them is caught

static_assert(sizeof(Options::stall) == CHANNELS * sizeof(uint64_t));

struct Burst {
    uint64_t address = 0, due = 0;
    uint32_t beats = 1, done = 0, size = 0, type = 1;
    uint8_t id = 0, response = OKAY;

    uint64_t beat_address() const {
        const uint64_t bytes = 1ull << size;
        if (type == 0) return address;
        const uint64_t next = done == 0 ? address : (address & ~(bytes - 1)) + done * bytes;
        if (type == 1) return next;
        const uint64_t span = bytes * beats, base = address & ~(span - 1);  // WRAP
        return base + (next - base) % span;
    }
};

// What a channel's master side showed in the last cycle without being accepted; it must show the same now.
struct Held {
    bool waiting = false;
    std::vector<uint8_t> payload;
};

struct Memory {
    uint8_t* data = nullptr;
    uint64_t size = 0, now = 0, random = 1, next_read = 0, next_write = 0;
    uint64_t read_beats = 0, write_beats = 0;
    Options options{};  // of MemoryModel in sim/job.py
    std::deque<Burst> reads, writes, responses;
    Burst read_now;
    bool reading = false;
    alignas(4) uint8_t beat[128] = {};
    uint8_t beat_response = OKAY;
    Burst response_now;
    bool ar_ready = false, aw_ready = false, w_ready = false, r_valid = false, b_valid = false;
    Held held[CHANNELS];
    std::string violation;
};

Memory g_memory;
std::vector<TraceEvent> g_trace;

uint64_t random_bits() {
    uint64_t& x = g_memory.random;
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return x >> 16;
}

bool pause(Channel channel) {
    const uint64_t chance = g_memory.options.stall[channel];
    return chance && (random_bits() & 255) < chance;
}

void violate(const std::string& text) {
    if (g_memory.violation.empty()) g_memory.violation = text;
}

uint8_t response_for(uint64_t address, uint64_t bytes) {
    const Memory& m = g_memory;
    if (address + bytes > m.size) return DECERR;
    const Options& o = m.options;
    return o.error_first <= o.error_last && address + bytes > o.error_first && address <= o.error_last ? SLVERR : OKAY;
}

void check_burst(const char* name, const Burst& burst, uint64_t bus_bytes) {
    char text[160];
    const uint64_t bytes = 1ull << burst.size;
    const uint64_t end = (burst.address & ~(bytes - 1)) + bytes * burst.beats - 1;
    const char* what = nullptr;
    if (bytes > bus_bytes)
        what = "beats wider than the bus";
    else if (burst.type > 2)
        what = "reserved burst type";
    else if (burst.type == 1 && burst.address >> 12 != end >> 12)
        what = "burst crosses a 4 KiB boundary";
    else if (burst.type != 1 && burst.beats > 16)
        what = "FIXED or WRAP burst of more than 16 beats";
    else if (burst.type == 2 && (burst.beats & (burst.beats - 1) || burst.address & (bytes - 1)))
        what = "WRAP burst of odd length or alignment";
    if (!what) return;
    snprintf(text, sizeof text, "%s: %s (address 0x%llx, %u beats of %llu bytes)", name, what,
             static_cast<unsigned long long>(burst.address), burst.beats, static_cast<unsigned long long>(bytes));
    violate(text);
}

void check_held(Channel channel, const char* name, bool valid, bool ready, const void* payload, size_t bytes,
                const void* extra = nullptr, size_t extra_bytes = 0) {
    Held& held = g_memory.held[channel];
    const auto* first = static_cast<const uint8_t*>(payload);
    const auto* second = static_cast<const uint8_t*>(extra);
    if (held.waiting) {
        if (!valid)
            violate(std::string(name) + ": valid dropped before ready");
        else if (std::memcmp(held.payload.data(), first, bytes) ||
                 (extra_bytes && std::memcmp(held.payload.data() + bytes, second, extra_bytes)))
            violate(std::string(name) + ": payload changed before ready");
    }
    held.waiting = valid && !ready;
    if (held.waiting) {
        held.payload.assign(first, first + bytes);
        if (extra_bytes) held.payload.insert(held.payload.end(), second, second + extra_bytes);
    }
}

// Takes the burst that answers next: the oldest, or with `reorder` the oldest of a random id whose time has come.
bool take_due(std::deque<Burst>& queue, Burst& taken) {
    Memory& m = g_memory;
    if (queue.empty()) return false;
    size_t pick = 0;
    if (m.options.reorder) {
        size_t heads[256], count = 0;
        bool seen[256] = {};
        for (size_t i = 0; i < queue.size(); ++i) {
            if (!seen[queue[i].id] && queue[i].due <= m.now) heads[count++] = i;
            seen[queue[i].id] = true;
        }
        if (!count) return false;
        pick = heads[random_bits() % count];
    }
    if (queue[pick].due > m.now) return false;
    taken = queue[pick];
    queue.erase(queue.begin() + static_cast<long>(pick));
    return true;
}

void put_beat(const Burst& burst, uint64_t bus_bytes) {
    Memory& m = g_memory;
    const uint64_t address = burst.beat_address(), bytes = 1ull << burst.size;
    const uint64_t first = address & (bytes - 1), lane = address & (bus_bytes - 1);
    const uint64_t count = std::min(bytes - first, bus_bytes - lane);
    m.beat_response = response_for(address, count);
    std::memset(m.beat, POISON, bus_bytes);
    if (m.beat_response == OKAY) std::memcpy(m.beat + lane, m.data + address, count);
}

void take_beat(Burst& burst, const uint8_t* bus, const uint8_t* strobes, uint64_t bus_bytes, bool last) {
    const uint64_t address = burst.beat_address(), bytes = 1ull << burst.size;
    const uint64_t lane = address & (bus_bytes - 1);
    const uint64_t count = std::min(bytes - (address & (bytes - 1)), bus_bytes - lane);
    burst.response = std::max(burst.response, response_for(address, count));
    for (uint64_t i = 0; i < bus_bytes; ++i) {
        if (!(strobes[i / 8] >> (i % 8) & 1)) continue;
        if (i < lane || i >= lane + count)
            violate("W: strobe outside the byte lanes of a narrow beat");
        else if (burst.response == OKAY)
            g_memory.data[address - lane + i] = bus[i];
    }
    if (last != (burst.done + 1 == burst.beats)) violate("W: WLAST does not match AWLEN");
    ++burst.done;
}

}  // namespace

extern "C" {

// ---- called from Python ----

// Maps the file as a fresh memory and empties queues, statistics and violations. Returns 0 or errno.
int fitact_memory_map(const char* path, const uint64_t* options) {
    const int file = open(path, O_RDONLY);
    if (file < 0) return errno;
    struct stat info;
    if (fstat(file, &info)) return errno;
    const auto size = static_cast<uint64_t>(info.st_size);
    void* data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    const int error = data == MAP_FAILED ? errno : 0;
    close(file);
    if (error) return error;
    if (g_memory.data) munmap(g_memory.data, g_memory.size);
    g_memory = Memory();
    g_memory.data = static_cast<uint8_t*>(data);
    g_memory.size = size;
    std::memcpy(static_cast<void*>(&g_memory.options), options, sizeof(Options));
    g_memory.random = g_memory.options.seed * 0x9E3779B97F4A7C15ull | 1;
    g_trace.clear();
    return 0;
}

uint8_t* fitact_memory_data() { return g_memory.data; }
uint64_t fitact_memory_size() { return g_memory.size; }
uint64_t fitact_memory_read_beats() { return g_memory.read_beats; }
uint64_t fitact_memory_write_beats() { return g_memory.write_beats; }
const char* fitact_memory_violation() { return g_memory.violation.c_str(); }
const void* fitact_trace_data() { return g_trace.data(); }
uint64_t fitact_trace_count() { return g_trace.size(); }

// A simulator must not outlive the process that started it, whatever kills that process.
void fitact_die_with_parent() { prctl(PR_SET_PDEATHSIG, SIGKILL); }

// ---- called from the test top ----

void fitact_trace(unsigned events, unsigned long long now) {
    g_trace.push_back({static_cast<int64_t>(now / PERIOD), events});
}

void fitact_memory_cycle(int bus_bytes_arg, svBit ar_valid, unsigned ar_addr, unsigned ar_id, unsigned ar_len,
                         unsigned ar_size, unsigned ar_burst, svBit r_ready, svBit aw_valid, unsigned aw_addr,
                         unsigned aw_id, unsigned aw_len, unsigned aw_size, unsigned aw_burst, svBit w_valid,
                         const svBitVecVal* w_data, const svBitVecVal* w_strb, svBit w_last, svBit b_ready,
                         svBit* ar_ready, svBit* r_valid, unsigned* r_id, svBitVecVal* r_data, unsigned* r_resp,
                         svBit* r_last, svBit* aw_ready, svBit* w_ready, svBit* b_valid, unsigned* b_id,
                         unsigned* b_resp, svBit* active) {
    Memory& m = g_memory;
    const auto bus_bytes = static_cast<uint64_t>(bus_bytes_arg);
    const unsigned ar_payload[] = {ar_addr, ar_id, ar_len, ar_size, ar_burst};
    const unsigned aw_payload[] = {aw_addr, aw_id, aw_len, aw_size, aw_burst};
    const unsigned last_payload = w_last;
    ++m.now;

    check_held(AR, "AR", ar_valid, m.ar_ready, ar_payload, sizeof ar_payload);
    check_held(AW, "AW", aw_valid, m.aw_ready, aw_payload, sizeof aw_payload);
    if (w_valid || m.held[W].waiting) {
        std::vector<uint8_t> payload(bus_bytes + bus_bytes / 8 + 1);
        std::memcpy(payload.data(), w_data, bus_bytes);
        std::memcpy(payload.data() + bus_bytes, w_strb, (bus_bytes + 7) / 8);
        check_held(W, "W", w_valid, m.w_ready, payload.data(), payload.size(), &last_payload, sizeof last_payload);
    }

    if (ar_valid && m.ar_ready) {
        Burst burst;
        burst.address = ar_addr, burst.id = static_cast<uint8_t>(ar_id), burst.beats = ar_len + 1;
        burst.size = ar_size, burst.type = ar_burst, burst.due = m.now + m.options.read_latency;
        check_burst("AR", burst, bus_bytes);
        m.reads.push_back(burst);
    }
    if (m.r_valid && r_ready) {
        ++m.read_beats;
        m.r_valid = false;
        if (++m.read_now.done == m.read_now.beats) m.reading = false;
    }
    if (!m.r_valid && m.now >= m.next_read && !pause(R)) {
        if (!m.reading) m.reading = take_due(m.reads, m.read_now);
        if (m.reading) {
            put_beat(m.read_now, bus_bytes);
            m.r_valid = true;
            m.next_read = m.now + m.options.read_interval;
        }
    }

    if (aw_valid && m.aw_ready) {
        Burst burst;
        burst.address = aw_addr, burst.id = static_cast<uint8_t>(aw_id), burst.beats = aw_len + 1;
        burst.size = aw_size, burst.type = aw_burst;
        check_burst("AW", burst, bus_bytes);
        m.writes.push_back(burst);
    }
    if (w_valid && m.w_ready) {
        Burst& burst = m.writes.front();
        take_beat(burst, reinterpret_cast<const uint8_t*>(w_data), reinterpret_cast<const uint8_t*>(w_strb), bus_bytes,
                  w_last);
        ++m.write_beats;
        m.next_write = m.now + m.options.write_interval;
        if (burst.done == burst.beats) {
            burst.due = m.now + m.options.write_latency;
            m.responses.push_back(burst);
            m.writes.pop_front();
        }
    }
    if (m.b_valid && b_ready) m.b_valid = false;
    if (!m.b_valid && !pause(B)) m.b_valid = take_due(m.responses, m.response_now);

    m.ar_ready = m.reads.size() < m.options.outstanding && !pause(AR);
    m.aw_ready = m.writes.size() + m.responses.size() < m.options.outstanding && !pause(AW);
    m.w_ready = !m.writes.empty() && m.now + 1 >= m.next_write && !pause(W);
    *ar_ready = m.ar_ready, *aw_ready = m.aw_ready, *w_ready = m.w_ready, *r_valid = m.r_valid, *b_valid = m.b_valid;
    std::memcpy(r_data, m.beat, bus_bytes);
    *r_id = m.read_now.id, *r_resp = m.beat_response, *r_last = m.read_now.done + 1 == m.read_now.beats;
    *b_id = m.response_now.id, *b_resp = m.response_now.response;
    *active = m.reading || m.r_valid || m.b_valid || !m.reads.empty() || !m.writes.empty() || !m.responses.empty() ||
              m.held[AR].waiting || m.held[AW].waiting || m.held[W].waiting;
}

}  // extern "C"
