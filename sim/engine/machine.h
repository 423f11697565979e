// The Verilated machine in this process: its variables by name, time, and copies of its whole state.
#pragma once

#include <utility>

#include "array.h"
//
#include "Vtop.h"
#include "Vtop___024root.h"
#include "Vtop__Syms.h"
#include "verilated.h"
#include "verilated_sym_props.h"

void Vtop___024root___eval_nba(Vtop___024root* root);  // Verilator's: what follows triggered events

namespace {

constexpr uint64_t ALL_EVENTS = 3;  // rising edges of `clk` as the test top and the machine name it

struct Var {
    uint8_t* data = nullptr;
    uint32_t bytes = 0;  // of one word
    uint32_t words = 1;

    uint64_t size() const { return static_cast<uint64_t>(bytes) * words; }
};

struct Buffer {
    Var memory, wr_en, wr_addr, rd_en, rd_addr;
    uint64_t first_bit = 0;  // its first word in the live sets
};

// Counter of tokens, and of the gate that takes them: there is an instruction, it needs a token.
struct Token {
    Var count, valid, pop;
    uint64_t seen = UINT64_MAX;  // as recorded last
};

struct Signals {
    Var rst_n, awaddr, awvalid, awready, wdata, wvalid, wready, araddr, arvalid, arready, rdata, rvalid, irq;
    Var m_arvalid, m_araddr, m_arlen, m_arsize, m_wvalid;  // of the memory bus
    Var cycles, watchdog;                                  // counter and limit of the machine
};

struct Checkpoint {
    std::vector<uint8_t> model;
    Memory memory;
    Array array;
    uint64_t cycle = 0, time = 0;
    size_t place = 0, events = 0;  // writes of the fault-free run before it; traced events
};

VerilatedContext* g_context;  // these two live as long as the process: Verilator's statics may go before them
Vtop* g_top;
uint8_t* g_model;  // the states of all module instances lie side by side: plain numbers, no pointers that change
size_t g_model_bytes = 0;
Signals g_signals;
std::vector<Var> g_registers;
std::vector<Buffer> g_buffers;
std::vector<Token> g_tokens;
uint64_t g_cycle = 0;
Checkpoint g_pristine;

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

// False if the test top or the machine lacks a signal.
bool create_machine() {
    g_context = new VerilatedContext;
    g_top = new Vtop(g_context, "TOP");
    auto* const symbols = g_top->rootp->vlSymsp;
    g_model = reinterpret_cast<uint8_t*>(&symbols->TOP);
    g_model_bytes = static_cast<size_t>(reinterpret_cast<uint8_t*>(&symbols->__Vscopep_fitact_tb) - g_model);
    Signals& s = g_signals;
    const std::pair<const char*, Var*> outer[] = {{"rst_n", &s.rst_n},
                                                  {"s_axil_awaddr", &s.awaddr},
                                                  {"s_axil_awvalid", &s.awvalid},
                                                  {"s_axil_awready", &s.awready},
                                                  {"s_axil_wdata", &s.wdata},
                                                  {"s_axil_wvalid", &s.wvalid},
                                                  {"s_axil_wready", &s.wready},
                                                  {"s_axil_araddr", &s.araddr},
                                                  {"s_axil_arvalid", &s.arvalid},
                                                  {"s_axil_arready", &s.arready},
                                                  {"s_axil_rdata", &s.rdata},
                                                  {"s_axil_rvalid", &s.rvalid},
                                                  {"irq", &s.irq}};
    for (const auto& [name, var] : outer)
        if (!find("TOP.fitact_tb", name, *var)) return false;
    const std::pair<const char*, Var*> inner[] = {{"m_axi_arvalid", &s.m_arvalid},
                                                  {"m_axi_araddr", &s.m_araddr},
                                                  {"m_axi_arlen", &s.m_arlen},
                                                  {"m_axi_arsize", &s.m_arsize},
                                                  {"m_axi_wvalid", &s.m_wvalid}};
    for (const auto& [name, var] : inner)
        if (!find("TOP.fitact_tb.u_top", name, *var)) return false;
    return find("TOP.fitact_tb.u_top.u_control", "cycles_q", s.cycles) &&
           find("TOP.fitact_tb.u_top.u_csr", "watchdog_cycles_q", s.watchdog);
}

// One clock period, from falling edge to falling edge.
//
// Verilator's eval() works out everything that follows from public registers, whether they were written or not, which
// takes as long as a clock edge itself. Who writes one here calls eval() himself: a period is the rising edge alone.
void toggle() {
    auto& triggered = g_top->rootp->__VnbaTriggered;
    g_context->timeInc(HALF_PERIOD);
    triggered[0] = ALL_EVENTS;
    Vtop___024root___eval_nba(g_top->rootp);
    triggered[0] = 0;
    g_context->timeInc(HALF_PERIOD);
    ++g_cycle;
}

void save(Checkpoint& saved, size_t place) {
    saved.model.assign(g_model, g_model + g_model_bytes);
    saved.memory = g_memory;
    if (BEHAVIOURAL) saved.array = g_array;
    saved.cycle = g_cycle, saved.time = g_context->time(), saved.place = place, saved.events = g_trace.size();
}

// All but the content of the memory.
void restore(const Checkpoint& saved) {
    std::memcpy(g_model, saved.model.data(), g_model_bytes);
    if (BEHAVIOURAL) g_array = saved.array;
    uint8_t* const data = g_memory.data;
    const uint64_t size = g_memory.size;
    g_memory = saved.memory;
    g_memory.data = data, g_memory.size = size;
    g_cycle = saved.cycle;
    g_context->time(saved.time);
    if (g_trace.size() > saved.events) g_trace.resize(saved.events);
}

}  // namespace
