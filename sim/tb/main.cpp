// Simulator process: Verilator's model, its clock, cocotb through VPI, and waves of a few cycles when asked for.
//
// cocotb's own main always dumps from time 0 and walks every callback list at every time step. This one opens a wave
// file when Python asks for it (fitact_waves_open) and keeps the loop short while Python sleeps.

#include <algorithm>
#include <cstdint>
#include <memory>

#include "Vtop.h"
#include "verilated.h"
#include "verilated_vpi.h"

#ifdef FITACT_CLOCK
#include "fitact_layout.h"
#endif

#if VM_TRACE
#if VM_TRACE_FST
#include <verilated_fst_c.h>
using Waves = VerilatedFstC;
#else
#include <verilated_vcd_c.h>
using Waves = VerilatedVcdC;
#endif
#endif

extern "C" void vlog_startup_routines_bootstrap(void);

namespace {

std::unique_ptr<Vtop> g_top;
#if VM_TRACE
std::unique_ptr<Waves> g_waves;
bool g_dumping = false;
#endif

// When something happens without Python, after the present time.
#ifdef FITACT_CLOCK
// Rising edges at odd multiples of HALF_PERIOD: Python computes them from the time.
uint64_t next_event(uint64_t time) { return time - time % HALF_PERIOD + HALF_PERIOD; }

void arrive(uint64_t time) {
    if (time % HALF_PERIOD == 0) g_top->clk = (time / HALF_PERIOD) & 1;
}
#else  // a design with delays
uint64_t next_event(uint64_t) { return g_top->eventsPending() ? g_top->nextTimeSlot() : UINT64_MAX; }

void arrive(uint64_t) {}
#endif

bool settle() {
    const bool called = VerilatedVpi::callValueCbs();
    while (VerilatedVpi::callValueCbs()) {
    }
    return called;
}

// Whether a callback for the end of this time step is registered.
bool python_waits() { return VerilatedVpi::hasCbs(cbReadWriteSynch) || VerilatedVpi::hasCbs(cbReadOnlySynch); }

// The rest of a time step in which Python is awake: its writes, and evaluation until nothing changes.
void finish_time_step() {
    for (;;) {
        VerilatedVpi::doInertialPuts();
        settle();
        if (!VerilatedVpi::evalNeeded()) {
            VerilatedVpi::callCbs(cbReadWriteSynch);
            VerilatedVpi::doInertialPuts();
            settle();
            if (!VerilatedVpi::evalNeeded()) break;
        }
        VerilatedVpi::clearEvalNeeded();
        g_top->eval_step();
        settle();
    }
    VerilatedVpi::callCbs(cbReadOnlySynch);
}

}  // namespace

extern "C" {

// Starts a wave file (VCD or FST, as built). Returns 1 if the model was built without waves.
int fitact_waves_open(const char* path) {
#if VM_TRACE
    if (!g_waves) {
        g_waves = std::make_unique<Waves>();
        g_top->trace(g_waves.get(), 99);
    }
    g_waves->open(path);
    g_dumping = true;
    return 0;
#else
    (void)path;
    return 1;
#endif
}

void fitact_waves_close() {
#if VM_TRACE
    if (g_dumping) g_waves->close();
    g_dumping = false;
#endif
}

}  // extern "C"

int main(int argc, char** argv) {
    VerilatedContext* const context = Verilated::threadContextp();
    context->commandArgs(argc, argv);
#if VM_TRACE
    context->traceEverOn(true);
#endif
    g_top = std::make_unique<Vtop>("");
    Verilated::fatalOnVpiError(false);  // cocotb probes names that may not exist

    vlog_startup_routines_bootstrap();
    VerilatedVpi::callCbs(cbStartOfSimulation);
    settle();

    bool awake = true;  // Python ran since the last evaluation, and may have scheduled writes
    while (!context->gotFinish()) {
        g_top->eval_step();
        const bool called = settle();
        if (awake || called || VerilatedVpi::evalNeeded() || python_waits()) finish_time_step();
        g_top->eval_end_step();
#if VM_TRACE
        if (g_dumping) g_waves->dump(context->time());
#endif
        const uint64_t deadline = VerilatedVpi::cbNextDeadline();
        const uint64_t next = std::min(deadline, next_event(context->time()));
        if (next == UINT64_MAX) break;
        context->time(next);
        arrive(next);
        awake = next == deadline || VerilatedVpi::hasCbs(cbNextSimTime);
        if (VerilatedVpi::hasCbs(cbNextSimTime)) {
            VerilatedVpi::callCbs(cbNextSimTime);
            settle();
        }
        if (next == deadline) {
            VerilatedVpi::callTimedCbs();
            settle();
        }
    }
    g_top->final();
    VerilatedVpi::callCbs(cbEndOfSimulation);
    fitact_waves_close();
    const bool failed = context->errorCount() > 0;
    g_top.reset();  // before Verilator's own statics go: later it would wait for them for ever
    return failed;
}
