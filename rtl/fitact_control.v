// Starts, supervises and ends a program: clears the machine, starts the fetch unit, keeps the first error and
// halts on it, watches the time, raises the interrupt, counts cycles and instructions.
`default_nettype none

module fitact_control (
    input  wire        clk,
    input  wire        rst_n,

    // Registers: commands in, status out.
    input  wire        start,                  // pulse
    input  wire        irq_enable,
    input  wire [31:0] watchdog_cycles,        // 0: off
    input  wire        status_done,            // present value of STATUS.done
    input  wire        status_error,           // present value of STATUS.error
    output wire        set_done,               // pulse
    output wire        set_error,              // pulse
    output wire [3:0]  error_code,             // held until the next start
    output wire        busy,
    output wire [63:0] cycles,
    output wire [31:0] instructions,
    output wire        irq,

    // The machine.
    output wire        clear,                  // pulse, one cycle after start
    output wire        start_fetch,            // pulse, one cycle after clear
    output wire        halt,
    output wire        running,
    input  wire        finish,                 // pulse or level: FINISH was dispatched
    input  wire        dispatched,             // pulse per dispatched instruction
    input  wire        queues_busy,            // an instruction is in the dispatcher or a queue
    input  wire        fetch_busy,
    input  wire        load_busy,
    input  wire        compute_busy,
    input  wire        store_busy,

    // Error pulses; of those in one cycle the first in this list wins.
    input  wire        illegal_instruction,
    input  wire        fetch_address_error,
    input  wire        load_address_error,
    input  wire        store_address_error,
    input  wire        fetch_bus_error,
    input  wire        load_bus_error,
    input  wire        store_bus_error,
    input  wire        load_range_error,
    input  wire        compute_range_error,
    input  wire        store_range_error,
    input  wire        token_overflow
);
    `include "fitact_codes.vh"

    reg clear_q;
    reg start_fetch_q;
    reg running_q;
    reg halt_q;
    reg finish_q;
    reg [3:0] error_code_q;
    reg [63:0] cycles_q;
    reg [31:0] instructions_q;

    wire address_error = fetch_address_error | load_address_error | store_address_error;
    wire bus_error = fetch_bus_error | load_bus_error | store_bus_error;
    wire range_error = load_range_error | compute_range_error | store_range_error;
    // >= and not ==, so that a limit lowered below the present count takes effect at once.
    wire expired = |watchdog_cycles & (|cycles_q[63:32] | (cycles_q[31:0] >= watchdog_cycles));
    wire [3:0] code = illegal_instruction ? ERROR_ILLEGAL_INSTRUCTION
                    : address_error       ? ERROR_ADDRESS
                    : bus_error           ? ERROR_BUS
                    : range_error         ? ERROR_BUFFER_RANGE
                    : token_overflow      ? ERROR_TOKEN_OVERFLOW
                    : expired             ? ERROR_WATCHDOG
                                          : ERROR_NONE;

    // `running` covers queues and compute; after an error only open bus transfers forbid a new start.
    assign busy = running_q | fetch_busy | load_busy | store_busy;
    wire units_busy = fetch_busy | load_busy | compute_busy | store_busy;
    wire accept = start & ~busy;
    // The first two cycles (clear, start of fetch) belong to no unit yet.
    wire settled = running_q & ~clear_q & ~start_fetch_q;
    wire fail = settled & (code != ERROR_NONE);
    wire complete = settled & finish_q & ~queues_busy & ~units_busy & ~fail;

    assign set_done = complete;
    assign set_error = fail;
    assign error_code = error_code_q;
    assign cycles = cycles_q;
    assign instructions = instructions_q;
    assign irq = irq_enable & (status_done | status_error);
    assign clear = clear_q;
    assign start_fetch = start_fetch_q;
    assign halt = halt_q;
    assign running = running_q;

    always @(posedge clk) begin
        if (!rst_n) begin
            clear_q <= 1'b0;
            start_fetch_q <= 1'b0;
            running_q <= 1'b0;
            halt_q <= 1'b0;
            finish_q <= 1'b0;
            error_code_q <= ERROR_NONE;
            cycles_q <= 64'd0;
            instructions_q <= 32'd0;
        end else begin
            clear_q <= accept;
            start_fetch_q <= clear_q;
            if (accept) begin
                running_q <= 1'b1;
                halt_q <= 1'b0;
                finish_q <= 1'b0;
                error_code_q <= ERROR_NONE;
                cycles_q <= 64'd0;
                instructions_q <= 32'd0;
            end else if (running_q) begin
                cycles_q <= cycles_q + 64'd1;
                if (dispatched) instructions_q <= instructions_q + 32'd1;
                if (finish && settled) finish_q <= 1'b1;
                if (fail || complete) running_q <= 1'b0;
                if (fail) begin
                    halt_q <= 1'b1;
                    error_code_q <= code;
                end
            end
        end
    end
endmodule

`default_nettype wire
