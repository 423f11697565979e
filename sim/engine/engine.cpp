// The machine as a library: the same Verilated model and memory as the cocotb build, driven cycle by cycle from C++.
//
// One "leader" walks through the fault-free run. At an upset it is saved, becomes the faulty run, and is put back
// afterwards; so every faulty run starts exactly where its upset is, and no prefix is simulated twice. A faulty run
// is over as soon as its state equals that of the fault-free run in the same cycle (fe_chase): then it can differ
// in memory only, and fe_diff says where.
//
// "State" is every fault site (all registers and memories of the machine), and the AXI memory's queues and channels.
// Buffer words that the fault-free run overwrites or never reads again are left out (live words only): with equal
// control state the faulty run makes the same accesses, so their content cannot matter any more.

#define fitact_memory_cycle fitact_memory_cycle_plain
#include "memory.cpp"
#undef fitact_memory_cycle

#include <unordered_map>

#include "Vtop.h"
#include "Vtop___024root.h"
#include "Vtop__Syms.h"
#include "verilated.h"
#include "verilated_sym_props.h"

namespace {

constexpr int RESET_CYCLES = 8, CSR_LIMIT = 1000, MAX_BUS_BYTES = 64;  // the first two as in cocotb_bench.py

struct Var {
    uint8_t* data = nullptr;
    uint32_t bytes = 0;  // of one word
    uint32_t words = 1;
};

struct Buffer {
    Var memory, wr_en, wr_addr, rd_en, rd_addr;
    uint64_t first_bit = 0;  // its first word in the live sets
};

struct Write {
    uint64_t cycle, address, block;  // address of the beat, and the aligned block around it
    uint8_t before[MAX_BUS_BYTES], after[MAX_BUS_BYTES];
};

struct Request {  // burst of reads, accepted in `cycle`
    uint64_t cycle, address, bytes;
};

struct Saved {
    std::vector<uint8_t> model;
    Memory memory;
    uint64_t cycle = 0, time = 0, writes = 0;
    size_t events = 0;
};

VerilatedContext* g_context;  // these two live as long as the process: Verilator's statics may go before them
Vtop* g_top;
uint8_t* g_model;  // the states of all module instances lie side by side: plain numbers, no pointers that change
size_t g_model_bytes = 0;
std::vector<Var> g_registers;
std::vector<Buffer> g_buffers;
Var g_rst_n, g_awaddr, g_awvalid, g_awready, g_wdata, g_wvalid, g_wready, g_araddr, g_arvalid, g_arready, g_rdata, g_rvalid,
    g_irq;
uint64_t g_cycle = 0, g_writes = 0;
bool g_recording = false, g_faulty = false, g_tracing = false;
std::vector<Write> g_log, g_journal;  // writes of the fault-free run; of the faulty run since it was forked
std::vector<Request> g_requests;
std::vector<uint64_t> g_accesses;
Saved g_pristine, g_fork;
uint64_t g_words64 = 0;           // 64-bit words of a live set
std::vector<uint64_t> g_points;  // cycles in which states are compared, ascending
size_t g_point = 0;              // the first of them that is not before g_cycle
std::vector<uint64_t> g_live, g_control_hash, g_buffer_hash;
std::vector<uint8_t> g_boundary;  // points at which different buffers are worth a look
std::vector<uint64_t> g_diff_blocks, g_diff_cycles;
std::vector<uint8_t> g_diff_bytes;

// ---- variables ----

bool find(const char* scope, const char* name, Var& var) {
    const VerilatedScope* const place = g_context->scopeFind(scope);
    VerilatedVar* const found = place ? place->varFind(name) : nullptr;
    if (!found) return false;
    var.data = static_cast<uint8_t*>(found->datap());
    var.bytes = found->entSize();
    var.words = static_cast<uint32_t>(found->totalSize() / var.bytes);
    return true;
}

uint64_t value(const Var& var) {
    uint64_t result = 0;
    std::memcpy(&result, var.data, var.bytes);
    return result;
}

void put(const Var& var, uint64_t number) { std::memcpy(var.data, &number, var.bytes); }

// ---- time ----

void trace_accesses() {
    for (size_t i = 0; i < g_buffers.size(); ++i) {
        const Buffer& b = g_buffers[i];
        const uint64_t head = g_cycle << 24 | i << 1;
        if (value(b.rd_en)) g_accesses.push_back(head | value(b.rd_addr) << 4);
        if (value(b.wr_en)) g_accesses.push_back(head | value(b.wr_addr) << 4 | 1);
    }
}

// From the falling edge of a cycle to that of the next.
void step() {
    if (g_tracing) trace_accesses();
    g_context->timeInc(5);
    g_top->clk = 1;
    g_top->eval();
    g_context->timeInc(5);
    g_top->clk = 0;
    g_top->eval();
    ++g_cycle;
}

void save(Saved& saved) {
    saved.model.assign(g_model, g_model + g_model_bytes);
    saved.memory = g_memory;
    saved.cycle = g_cycle, saved.time = g_context->time(), saved.writes = g_writes, saved.events = g_trace.size();
}

void restore(const Saved& saved) {
    std::memcpy(g_model, saved.model.data(), g_model_bytes);
    uint8_t* const data = g_memory.data;
    const uint64_t size = g_memory.size;
    g_memory = saved.memory;
    g_memory.data = data, g_memory.size = size;
    g_cycle = saved.cycle, g_writes = saved.writes;
    g_context->time(saved.time);
    if (g_trace.size() > saved.events) g_trace.resize(saved.events);
}

// ---- hashes ----

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

// Everything but the buffers; times are relative, because only differences of them act.
uint64_t hash_control() {
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
    for (const Var& var : g_registers) hash = hash_bytes(hash, var.data, static_cast<uint64_t>(var.bytes) * var.words);
    return hash;
}

uint64_t hash_word(uint64_t bit, const uint8_t* data, uint64_t bytes) { return hash_bytes(mix(~bit, bit), data, bytes); }

// A sum over words: what one word adds to it can be exchanged (fe_word_hash).
uint64_t hash_buffers(const uint64_t* live) {
    uint64_t hash = 0;
    for (const Buffer& b : g_buffers) {
        for (uint32_t word = 0; word < b.memory.words; ++word) {
            const uint64_t bit = b.first_bit + word;
            const uint64_t rest = live[bit / 64] >> (bit % 64);
            if (!rest) {
                word += static_cast<uint32_t>(63 - bit % 64);
                continue;
            }
            if (rest & 1) hash += hash_word(bit, b.memory.data + static_cast<uint64_t>(word) * b.memory.bytes, b.memory.bytes);
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

bool same_control() { return hash_control() == g_control_hash[g_point]; }
uint64_t buffers_now() { return hash_buffers(&g_live[g_point * g_words64]); }

// ---- registers of the machine, as cocotb_bench.py accesses them ----

bool handshake(std::initializer_list<std::pair<const Var*, const Var*>> pairs) {
    std::vector<std::pair<const Var*, const Var*>> waiting(pairs);
    for (auto& pair : waiting) put(*pair.first, 1);
    for (int i = 0; i < CSR_LIMIT; ++i) {
        g_top->eval();
        std::vector<std::pair<const Var*, const Var*>> still;
        std::vector<const Var*> accepted;
        for (auto& pair : waiting) {
            if (value(*pair.second)) accepted.push_back(pair.first);
            else still.push_back(pair);
        }
        step();
        for (const Var* valid : accepted) put(*valid, 0);
        g_top->eval();
        waiting = still;
        if (waiting.empty()) return true;
    }
    return false;
}

bool write_register(uint64_t address, uint64_t number) {
    put(g_awaddr, address);
    put(g_wdata, number);
    return handshake({{&g_awvalid, &g_awready}, {&g_wvalid, &g_wready}});
}

bool read_register(uint64_t address, uint64_t& number) {
    put(g_araddr, address);
    if (!handshake({{&g_arvalid, &g_arready}})) return false;
    for (int i = 0; i < CSR_LIMIT; ++i) {
        if (value(g_rvalid)) {
            number = value(g_rdata);
            step();
            return true;
        }
        step();
    }
    return false;
}

}  // namespace

extern "C" {

// The machine after reset. Returns 0, or 1 if the test top lacks a signal.
int fe_create() {
    g_context = new VerilatedContext;
    g_top = new Vtop(g_context, "TOP");
    auto* const symbols = g_top->rootp->vlSymsp;
    g_model = reinterpret_cast<uint8_t*>(&symbols->TOP);
    g_model_bytes = static_cast<size_t>(reinterpret_cast<uint8_t*>(&symbols->__Vscopep_fitact_tb) - g_model);
    const std::pair<const char*, Var*> signals[] = {
        {"rst_n", &g_rst_n},           {"s_axil_awaddr", &g_awaddr}, {"s_axil_awvalid", &g_awvalid},
        {"s_axil_awready", &g_awready}, {"s_axil_wdata", &g_wdata},   {"s_axil_wvalid", &g_wvalid},
        {"s_axil_wready", &g_wready},   {"s_axil_araddr", &g_araddr}, {"s_axil_arvalid", &g_arvalid},
        {"s_axil_arready", &g_arready}, {"s_axil_rdata", &g_rdata},   {"s_axil_rvalid", &g_rvalid},
        {"irq", &g_irq}};
    for (const auto& [name, var] : signals)
        if (!find("TOP.fitact_tb", name, *var)) return 1;
    g_top->clk = 0;
    put(g_rst_n, 0);
    g_top->eval();
    for (int i = 0; i < RESET_CYCLES; ++i) step();
    put(g_rst_n, 1);
    g_top->eval();
    step();
    save(g_pristine);
    return 0;
}

uint64_t fe_state_bytes() { return g_model_bytes; }

// A register or other memory of the machine. Returns its number, or -1 if the build does not have it.
int fe_add_register(const char* scope, const char* name) {
    Var var;
    if (!find(scope, name, var)) return -1;
    g_registers.push_back(var);
    return static_cast<int>(g_registers.size()) - 1;
}

// A buffer (an instance of fitact_sram) whose accesses are traced. Returns its number or -1.
int fe_add_buffer(const char* scope, const char* memory) {
    Buffer b;
    if (!find(scope, memory, b.memory) || !find(scope, "wr_en", b.wr_en) || !find(scope, "wr_addr", b.wr_addr) ||
        !find(scope, "rd_en", b.rd_en) || !find(scope, "rd_addr", b.rd_addr))
        return -1;
    if (!g_buffers.empty()) b.first_bit = g_buffers.back().first_bit + g_buffers.back().memory.words;
    g_buffers.push_back(b);
    return static_cast<int>(g_buffers.size()) - 1;
}

uint32_t fe_register_bytes(int number) { return g_registers[static_cast<size_t>(number)].bytes; }
uint32_t fe_register_words(int number) { return g_registers[static_cast<size_t>(number)].words; }
uint32_t fe_buffer_bytes(int number) { return g_buffers[static_cast<size_t>(number)].memory.bytes; }
uint32_t fe_buffer_words(int number) { return g_buffers[static_cast<size_t>(number)].memory.words; }

// Cycles of comparison, ascending, and for each the set of live buffer words (`words64` 64-bit words).
void fe_set_points(const uint64_t* points, const uint8_t* boundary, uint64_t count, uint64_t words64, const uint64_t* live) {
    g_points.assign(points, points + count);
    g_boundary.assign(boundary, boundary + count);
    g_words64 = words64;
    g_live.assign(live, live + count * words64);
    g_control_hash.assign(count, 0);
    g_buffer_hash.assign(count, 0);
}

// Reset, fresh memory, registers written (pairs address, value; the last one starts): at the falling edge of the accepted
// start. Returns 0, an errno, or -1 if the register block does not answer.
int fe_begin(const char* path, const uint64_t* options, const uint64_t* writes, int count, int latency) {
    g_faulty = false;
    restore(g_pristine);
    const int error = fitact_memory_map(path, options);
    if (error) return error;
    g_writes = 0;
    for (int i = 0; i < count; ++i)
        if (!write_register(writes[2 * i], writes[2 * i + 1])) return -1;
    for (int i = 0; i < latency; ++i) step();
    g_cycle = 0;
    return 0;
}

// What the coming fault-free run records: 1 accesses of buffers and memory, 2 state hashes and writes.
void fe_record(int what) {
    g_tracing = what & 1;
    g_recording = what & 2;
    if (g_tracing) g_accesses.clear(), g_requests.clear();
    if (g_recording) g_log.clear();
}

// Runs to the falling edge of `cycle`; returns 1 if the interrupt came first (or is high), else 0.
int fe_run(uint64_t cycle) {
    find_point();
    while (!value(g_irq)) {
        if (g_cycle >= cycle) return 0;
        if (g_recording && at_point()) {
            g_control_hash[g_point] = hash_control();
            g_buffer_hash[g_point] = hash_buffers(&g_live[g_point * g_words64]);
        }
        step();
    }
    return 1;
}

uint64_t fe_cycle() { return g_cycle; }

void fe_fork() {
    save(g_fork);
    g_journal.clear();
    g_faulty = true;
    g_recording = g_tracing = false;
}

void fe_back() {
    for (auto write = g_journal.rbegin(); write != g_journal.rend(); ++write)
        std::memcpy(g_memory.data + write->block, write->before, std::min<uint64_t>(MAX_BUS_BYTES, g_memory.size - write->block));
    g_journal.clear();
    restore(g_fork);
    g_faulty = false;
}

// Flips bits; `mask` has as many bytes as a word.
void fe_flip(int is_buffer, int number, uint32_t word, const uint8_t* mask) {
    const Var& var = is_buffer ? g_buffers[static_cast<size_t>(number)].memory : g_registers[static_cast<size_t>(number)];
    uint8_t* const data = var.data + static_cast<uint64_t>(word) * var.bytes;
    for (uint32_t i = 0; i < var.bytes; ++i) data[i] ^= mask[i];
    g_top->eval();
}

// Runs the faulty machine until: 0 its state is that of the fault-free run, 1 interrupt, 2 cycle `limit`, 3 all but the
// buffers is as in the fault-free run, at a boundary point.
int fe_chase(uint64_t limit) {
    find_point();
    for (;;) {
        if (value(g_irq)) return 1;
        if (g_cycle >= limit) return 2;
        step();
        if (!at_point() || !same_control()) continue;
        if (buffers_now() == g_buffer_hash[g_point]) return 0;
        if (g_boundary[g_point]) return 3;
    }
}

// Blocks of memory that differ from the fault-free run in this cycle; their number.
uint64_t fe_diff() {
    std::unordered_map<uint64_t, const uint8_t*> expected;
    std::unordered_map<uint64_t, uint64_t> written;
    for (const Write& write : g_journal) {
        expected.emplace(write.block, write.before);  // the first one: as forked
        written[write.block] = write.cycle;
    }
    for (size_t i = g_fork.writes; i < g_log.size() && g_log[i].cycle <= g_cycle; ++i)
        expected[g_log[i].block] = g_log[i].after;
    g_diff_blocks.clear();
    g_diff_bytes.clear();
    g_diff_cycles.clear();
    for (const auto& [block, bytes] : expected) {
        const uint64_t count = std::min<uint64_t>(MAX_BUS_BYTES, g_memory.size - block);
        if (!std::memcmp(g_memory.data + block, bytes, count)) continue;
        g_diff_blocks.push_back(block);
        g_diff_cycles.push_back(written.count(block) ? written[block] : UINT64_MAX);
        g_diff_bytes.resize(2 * MAX_BUS_BYTES * g_diff_blocks.size());
        uint8_t* const place = g_diff_bytes.data() + g_diff_bytes.size() - 2 * MAX_BUS_BYTES;
        std::memcpy(place, bytes, count);
        std::memcpy(place + MAX_BUS_BYTES, g_memory.data + block, count);
    }
    return g_diff_blocks.size();
}

const uint64_t* fe_diff_blocks() { return g_diff_blocks.data(); }
const uint64_t* fe_diff_cycles() { return g_diff_cycles.data(); }
const uint8_t* fe_diff_bytes() { return g_diff_bytes.data(); }
const uint64_t* fe_accesses() { return g_accesses.data(); }
uint64_t fe_access_count() { return g_accesses.size(); }
const void* fe_requests() { return g_requests.data(); }
uint64_t fe_request_count() { return g_requests.size(); }
const void* fe_writes() { return g_log.data(); }
uint64_t fe_write_count() { return g_log.size(); }
uint64_t fe_write_bytes() { return sizeof(Write); }

// Reads registers at `addresses`; returns 0, or 1 if one did not answer.
int fe_read_registers(const uint64_t* addresses, uint64_t* numbers, int count) {
    for (int i = 0; i < count; ++i)
        if (!read_register(addresses[i], numbers[i])) return 1;
    return 0;
}

// For the point of the last fe_chase(): hash of the live buffer words, now and in the fault-free run.
uint64_t fe_buffers_now() { return buffers_now(); }
uint64_t fe_buffers_expected() { return g_buffer_hash[g_point]; }
uint64_t fe_word_hash(uint64_t bit, const uint8_t* data, uint64_t bytes) { return hash_word(bit, data, bytes); }

uint64_t fe_hash_control() { return hash_control(); }

// ---- called from the test top: the plain memory, plus a log of what it writes and which reads it accepts ----

void fitact_memory_cycle(int bus_bytes_arg,
                         svBit ar_valid, unsigned ar_addr, unsigned ar_id, unsigned ar_len, unsigned ar_size, unsigned ar_burst,
                         svBit r_ready,
                         svBit aw_valid, unsigned aw_addr, unsigned aw_id, unsigned aw_len, unsigned aw_size, unsigned aw_burst,
                         svBit w_valid, const svBitVecVal* w_data, const svBitVecVal* w_strb, svBit w_last,
                         svBit b_ready,
                         svBit* ar_ready, svBit* r_valid, unsigned* r_id, svBitVecVal* r_data, unsigned* r_resp, svBit* r_last,
                         svBit* aw_ready, svBit* w_ready, svBit* b_valid, unsigned* b_id, unsigned* b_resp, svBit* active) {
    Memory& m = g_memory;
    if (g_tracing && ar_valid && m.ar_ready)
        g_requests.push_back({g_cycle + 1, ar_addr, static_cast<uint64_t>(ar_len + 1) << ar_size});
    uint64_t block = UINT64_MAX, count = 0;
    Write write;
    if (w_valid && m.w_ready && !m.writes.empty()) {
        ++g_writes;
        write.address = m.writes.front().beat_address();
        block = write.address & ~static_cast<uint64_t>(MAX_BUS_BYTES - 1);
        if (block < m.size && (g_faulty || g_recording)) {
            count = std::min<uint64_t>(MAX_BUS_BYTES, m.size - block);
            write.cycle = g_cycle + 1, write.block = block;
            std::memcpy(write.before, m.data + block, count);
        }
    }
    fitact_memory_cycle_plain(bus_bytes_arg, ar_valid, ar_addr, ar_id, ar_len, ar_size, ar_burst, r_ready, aw_valid, aw_addr,
                              aw_id, aw_len, aw_size, aw_burst, w_valid, w_data, w_strb, w_last, b_ready, ar_ready, r_valid,
                              r_id, r_data, r_resp, r_last, aw_ready, w_ready, b_valid, b_id, b_resp, active);
    if (count) {
        std::memcpy(write.after, m.data + block, count);
        (g_faulty ? g_journal : g_log).push_back(write);
    }
}

}  // extern "C"
