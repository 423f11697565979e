// Queue of the store unit: holds instructions until the tokens they wait for are there, and offers
// their fields by name.
//
// Composed by fitact_hw.verilog for the default configuration (16x16, 8-bit words, bounds: neuron); change the
// generator, not this file.

`default_nettype none

module fitact_store_queue #(
    parameter DEPTH      = 4,   // instructions
    parameter ENTRY_BITS = 164
) (
    input  wire                  clk,
    input  wire                  rst_n,
    input  wire                  clear,
    input  wire                  halt,               // nothing is offered while this is high

    // From the decoder.
    input  wire                  entry_valid,
    output wire                  entry_ready,
    input  wire [ENTRY_BITS-1:0] entry_data,
    output wire                  waiting,            // an instruction is in the queue

    // Tokens.
    input  wire                  prev_available,
    output wire                  take_prev,

    // To the unit. Strided DMA from the output buffer to memory.
    output wire                  instr_valid,
    input  wire                  instr_ready,
    output wire                  instr_push_prev,    // give a token to the previous unit when finished
    // first output buffer word read; words are read consecutively
    output wire [15:0]           instr_buffer_base,
    // byte address of the first word; aligned to the word's size in memory
    output wire [31:0]           instr_mem_addr,
    output wire [15:0]           instr_cols,         // words written per row (>= 1)
    output wire [15:0]           instr_rows,         // rows per plane (>= 1)
    output wire [15:0]           instr_planes,       // planes (>= 1)
    output wire [31:0]           instr_row_stride,   // bytes from one row to the next
    output wire [31:0]           instr_plane_stride  // bytes from one plane to the next
);

    wire                  head_valid;
    wire                  head_ready;
    wire [ENTRY_BITS-1:0] head_data;   // oldest instruction
    wire                  pop_prev;
    wire                  pop_next;
    wire                  push_next;
    wire                  take_next;

    // Fields from the highest bit down, as in fitact_hw/isa.py.
    assign {instr_plane_stride, instr_row_stride, instr_planes, instr_rows, instr_cols,
            instr_mem_addr, instr_buffer_base, push_next, instr_push_prev, pop_next, pop_prev} = head_data;

    fitact_fifo #(
        .WIDTH (ENTRY_BITS),
        .DEPTH (DEPTH)
    ) u_fifo (
        .clk       (clk),
        .rst_n     (rst_n),
        .clear     (clear),
        .in_valid  (entry_valid),
        .in_ready  (entry_ready),
        .in_data   (entry_data),
        .out_valid (head_valid),
        .out_ready (head_ready),
        .out_data  (head_data)
    );

    fitact_issue u_issue (
        .halt           (halt),
        .queue_valid    (head_valid),
        .queue_ready    (head_ready),
        .pop_prev       (pop_prev),
        .prev_available (prev_available),
        .take_prev      (take_prev),
        .pop_next       (1'b0),
        .next_available (1'b0),
        .take_next      (take_next),
        .unit_valid     (instr_valid),
        .unit_ready     (instr_ready)
    );

    assign waiting = head_valid;

    // The decoder refuses tokens for a neighbour that does not exist.
    wire unused = &{1'b0, pop_next, push_next, take_next};

endmodule

`default_nettype wire
