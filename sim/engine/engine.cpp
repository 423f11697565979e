// The machine as a library: the same Verilated model and memory as the cocotb build, driven cycle by cycle from C++.
//
// The fault-free run goes once through a program and keeps checkpoints in the cycles of the coming upsets. A faulty run
// starts from a checkpoint, so no beginning is simulated twice, and is over as soon as its state is that of the
// fault-free run (fe_run_faulty): then it can differ in memory only, and fe_diff says where.
//
// "State" is every fault site (all registers and memories of the machine), and the AXI memory's queues and channels.
// Left out are buffer words that the fault-free run overwrites or never reads again (live words only): with equal
// control state the faulty run makes the same accesses, so their content cannot matter any more; the observers,
// registers on which nothing depends but what the host reads at the end; and registers that keep old data between
// words.

#include "memory.cpp"
//
#include "states.h"

namespace {

// cycles of a faulty run between two looks for a state that never changes again
constexpr uint64_t FROZEN_EVERY = 1024;

std::vector<uint64_t> g_keep;  // cycles in which the fault-free run is saved, ascending
std::vector<Checkpoint> g_checkpoints;
bool g_hashing = false;
int g_watch = -1;                 // register whose value in the fault-free run is kept for every point
std::vector<uint64_t> g_watched;  // its values

// ---- registers of the machine, as cocotb_run.py accesses them ----

bool handshake(std::initializer_list<std::pair<const Var*, const Var*>> pairs) {
    std::vector<std::pair<const Var*, const Var*>> waiting(pairs);
    for (auto& pair : waiting) put(*pair.first, 1);
    for (int i = 0; i < CSR_LIMIT; ++i) {
        g_top->eval();
        std::vector<std::pair<const Var*, const Var*>> still;
        std::vector<const Var*> accepted;
        for (auto& pair : waiting) {
            if (value(*pair.second))
                accepted.push_back(pair.first);
            else
                still.push_back(pair);
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
    Signals& s = g_signals;
    put(s.awaddr, address);
    put(s.wdata, number);
    return handshake({{&s.awvalid, &s.awready}, {&s.wvalid, &s.wready}});
}

bool read_register(uint64_t address, uint64_t& number) {
    Signals& s = g_signals;
    put(s.araddr, address);
    if (!handshake({{&s.arvalid, &s.arready}})) return false;
    for (int i = 0; i < CSR_LIMIT; ++i) {
        const bool valid = value(s.rvalid);
        number = value(s.rdata);
        step();
        if (valid) return true;
    }
    return false;
}

}  // namespace

extern "C" {

// ---- what there is ----

// The machine after reset. Returns 0, or 1 if it lacks a signal.
int fe_create() {
    if (!create_machine()) return 1;
    g_top->clk = 0;
    put(g_signals.rst_n, 0);
    g_top->eval();
    for (int i = 0; i < RESET_CYCLES; ++i) toggle();
    put(g_signals.rst_n, 1);
    g_top->eval();
    toggle();
    save(g_pristine, 0);
    return 0;
}

uint64_t fe_state_bytes() { return g_model_bytes + (BEHAVIOURAL ? sizeof(Array) : 0); }

// A register or other memory of the machine, with its Role (PASSING + its group). Returns its number, or -1 if it
// cannot be.
int fe_add_register(const char* scope, const char* name, int role) {
    Var var;
    if (role < 0 || static_cast<size_t>(role) >= PASSING + GROUPS || !find(scope, name, var)) return -1;
    g_registers.push_back(var);
    g_role.push_back(static_cast<uint8_t>(role));
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

// A token counter (register `count_q` at `counter`) and the gate that takes its tokens, with its port `pop`. Returns 0
// or -1.
int fe_add_token(const char* counter, const char* gate, const char* pop) {
    Token t;
    if (!find(counter, "count_q", t.count) || !find(gate, "queue_valid", t.valid) || !find(gate, pop, t.pop)) return -1;
    g_tokens.push_back(t);
    return 0;
}

uint32_t fe_register_bytes(int number) { return g_registers[static_cast<size_t>(number)].bytes; }
uint32_t fe_register_words(int number) { return g_registers[static_cast<size_t>(number)].words; }
uint32_t fe_buffer_bytes(int number) { return g_buffers[static_cast<size_t>(number)].memory.bytes; }
uint32_t fe_buffer_words(int number) { return g_buffers[static_cast<size_t>(number)].memory.words; }

// Present value of a register of at most 64 bits.
uint64_t fe_register(int number) { return value(g_registers[static_cast<size_t>(number)]); }

// ---- the fault-free run ----

// The register of at most 64 bits whose value is kept at every point of comparison.
void fe_watch(int number) { g_watch = number; }

// Its value in the fault-free run, at the point of the last fe_run_faulty().
uint64_t fe_watched() { return g_watched[g_point]; }

// Cycles of comparison, ascending, and for each the set of live buffer words (`words64` 64-bit words).
void fe_set_points(const uint64_t* points, const uint8_t* boundary, uint64_t count, uint64_t words64,
                   const uint64_t* live) {
    g_points.assign(points, points + count);
    g_boundary.assign(boundary, boundary + count);
    g_words64 = words64;
    g_live.assign(live, live + count * words64);
    g_control_hash.assign(count, 0);
    g_passing_hash.assign(count * GROUPS, 0);
    g_buffer_hash.assign(count, 0);
    g_watched.assign(count, 0);
}

// Reset, fresh memory, registers written (pairs address, value; the last one starts): at the falling edge of the
// accepted start. Returns 0, an errno, or -1 if the register block does not answer.
int fe_begin(const char* path, const uint64_t* options, const uint64_t* writes, int count, int latency) {
    g_faulty = false;
    restore(g_pristine);
    const int error = fitact_memory_map(path, options);
    if (error) return error;
    for (int i = 0; i < count; ++i)
        if (!write_register(writes[2 * i], writes[2 * i + 1])) return -1;
    for (int i = 0; i < latency; ++i) step();
    g_cycle = 0;
    g_log.clear();
    g_place = 0;
    return 0;
}

// What the coming fault-free run records beside its writes (Record); `keep`: cycles, ascending, of checkpoints for
// fe_fork.
void fe_record(int what, const uint64_t* keep, uint64_t count) {
    g_tracing = what & ACCESSES;
    g_hashing = what & STATES;
    if (g_tracing) {
        g_accesses.clear(), g_requests.clear(), g_token_changes.clear();
        for (Token& token : g_tokens) token.seen = UINT64_MAX;
    }
    g_keep.assign(keep, keep + count);
    g_checkpoints.resize(count);
}

// Runs to the falling edge of `cycle`; returns 1 if the interrupt came first (or is high), else 0.
int fe_run(uint64_t cycle) {
    find_point();
    size_t next = static_cast<size_t>(std::lower_bound(g_keep.begin(), g_keep.end(), g_cycle) - g_keep.begin());
    while (!value(g_signals.irq)) {
        if (next < g_keep.size() && g_keep[next] == g_cycle) save(g_checkpoints[next++], g_place);
        if (g_cycle >= cycle) return 0;
        if (g_hashing && at_point()) {
            g_control_hash[g_point] = hash_control();
            hash_passing(&g_passing_hash[g_point * GROUPS]);
            g_buffer_hash[g_point] = hash_buffers(g_point);
            if (g_watch >= 0) g_watched[g_point] = fe_register(g_watch);
        }
        step();
    }
    return 1;
}

uint64_t fe_cycle() { return g_cycle; }

// ---- faulty runs ----

// The machine as kept in the cycle number `number` of fe_record.
void fe_fork(uint64_t number) {
    const Checkpoint& saved = g_checkpoints[number];
    seek(saved.place);
    restore(saved);
    g_faulty = true;
    g_skipped = 0;
    g_tracing = g_hashing = false;
}

// Cycles since fe_fork() in which nothing could change, and which were not simulated.
uint64_t fe_skipped() { return g_skipped; }

// Takes back what the faulty run wrote; the fault-free run cannot go on, but be forked again.
void fe_back() {
    undo_journal();
    g_actions.clear();
    g_strikes.clear();
    g_faulty = false;
}

// Upsets a swap (or load) of the array that acts on `row` in so many cycles from now (0: at the next clock edge), in
// the columns from `column` on; of a behavioural array only.
void fe_strike(uint32_t row, uint32_t column, int load, uint32_t cycles) {
    g_strikes.push_back({g_array.now + cycles, row, column, load != 0});
}

// Flips bits; `mask` has as many bytes as a word.
void fe_flip(int is_buffer, int number, uint32_t word, const uint8_t* mask) {
    const Var& var =
        is_buffer ? g_buffers[static_cast<size_t>(number)].memory : g_registers[static_cast<size_t>(number)];
    uint8_t* const data = var.data + static_cast<uint64_t>(word) * var.bytes;
    for (uint32_t i = 0; i < var.bytes; ++i) data[i] ^= mask[i];
    g_top->eval();
}

// Bits of `mask` flip in cycle `first` (kind 2) or are 0 or 1 (kind) in every cycle from `first` to `last`; till
// fe_back().
void fe_act(int is_buffer, int number, uint32_t word, const uint8_t* mask, int kind, uint64_t first, uint64_t last) {
    const Var& var =
        is_buffer ? g_buffers[static_cast<size_t>(number)].memory : g_registers[static_cast<size_t>(number)];
    g_actions.push_back({var, word, std::vector<uint8_t>(mask, mask + var.bytes), kind, first, last});
    if (act(g_actions.back())) g_top->eval();
}

// Bit k: group k of the passing registers differs from the fault-free run, at the point of the last fe_run_faulty().
uint64_t fe_passing() { return different_groups(g_point); }

// Runs the faulty machine until its state is that of the fault-free run (or nearly), its interrupt, or cycle `limit`.
End fe_run_faulty(uint64_t limit) {
    find_point();
    uint64_t frozen = g_cycle + FROZEN_EVERY;
    for (;;) {
        if (value(g_signals.irq)) return INTERRUPT;
        if (g_cycle >= limit) return LIMIT;
        if (g_cycle >= frozen && !acting()) {
            skip_frozen(limit);
            frozen = g_cycle + FROZEN_EVERY;
        } else {
            step();
        }
        if (acting()) continue;
        if (!at_point() || hash_control() != g_control_hash[g_point]) continue;
        if (hash_buffers(g_point) == g_buffer_hash[g_point]) return different_groups(g_point) ? NEARLY : RECONVERGED;
        if (g_boundary[g_point]) return NEARLY;
    }
}

// Blocks of memory that differ from the fault-free run in this cycle; their number.
uint64_t fe_diff() {
    compare_memory();
    return g_difference.blocks.size();
}

const uint64_t* fe_diff_blocks() { return g_difference.blocks.data(); }
const uint64_t* fe_diff_cycles() { return g_difference.cycles.data(); }
const uint8_t* fe_diff_bytes() { return g_difference.bytes.data(); }

// For the point of the last fe_run_faulty(): hash of the live buffer words, now and in the fault-free run.
uint64_t fe_buffers_now() { return hash_buffers(g_point); }
uint64_t fe_buffers_expected() { return g_buffer_hash[g_point]; }
uint64_t fe_word_hash(uint64_t bit, const uint8_t* data, uint64_t bytes) { return hash_word(bit, data, bytes); }

uint64_t fe_hash_control() { return hash_control(); }

// ---- results ----

const uint64_t* fe_accesses() { return g_accesses.data(); }
uint64_t fe_access_count() { return g_accesses.size(); }
const uint64_t* fe_token_changes() { return g_token_changes.data(); }
uint64_t fe_token_change_count() { return g_token_changes.size(); }
const void* fe_requests() { return g_requests.data(); }
uint64_t fe_request_count() { return g_requests.size(); }
const void* fe_writes() { return g_log.data(); }
uint64_t fe_write_count() { return g_log.size(); }

// Frees what was recorded of buffer accesses.
void fe_forget_accesses() { std::vector<uint64_t>().swap(g_accesses); }

// Reads registers at `addresses`; returns 0, or 1 if one did not answer.
int fe_read_registers(const uint64_t* addresses, uint64_t* numbers, int count) {
    for (int i = 0; i < count; ++i)
        if (!read_register(addresses[i], numbers[i])) return 1;
    return 0;
}

}  // extern "C"
