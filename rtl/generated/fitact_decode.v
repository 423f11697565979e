// Sends an instruction to the queue of its unit, or reports it as illegal.
//
// Illegal are: an unknown opcode, a count of zero, a token for a neighbour that does not exist (the load
// unit is the first in the chain, the store unit the last), and what this configuration has no hardware
// for. An illegal instruction is taken and dropped; the machine halts in the next cycle.
//
// Composed by fitact_hw.verilog for the default configuration (16x16, 8-bit words, bounds: neuron); change the
// generator, not this file.

`default_nettype none

module fitact_decode #(
    parameter INSTR_BITS   = 512,
    parameter LOAD_BITS    = 198,  // queue entry: the instruction without its opcode
    parameter COMPUTE_BITS = 305,  // queue entry: the instruction without its opcode
    parameter STORE_BITS   = 164   // queue entry: the instruction without its opcode
) (
    input  wire                    halt,

    // Instructions from the fetch unit.
    input  wire                    instr_valid,
    output wire                    instr_ready,
    input  wire [INSTR_BITS-1:0]   instr_data,

    // Queues.
    output wire                    load_valid,
    input  wire                    load_ready,
    output wire [LOAD_BITS-1:0]    load_data,
    output wire                    compute_valid,
    input  wire                    compute_ready,
    output wire [COMPUTE_BITS-1:0] compute_data,
    output wire                    store_valid,
    input  wire                    store_ready,
    output wire [STORE_BITS-1:0]   store_data,

    // Pulses for the control unit.
    output wire                    dispatched,          // a legal instruction was taken
    output wire                    finish,              // FINISH was taken
    output wire                    illegal_instruction
);

    // Operations.
    localparam OPCODE_W              = 4;
    localparam [OPCODE_W-1:0] LOAD   = 4'd1;
    localparam [OPCODE_W-1:0] GEMM   = 4'd2;
    localparam [OPCODE_W-1:0] STORE  = 4'd3;
    localparam [OPCODE_W-1:0] SYNC   = 4'd4;
    localparam [OPCODE_W-1:0] FINISH = 4'd5;

    // What decides legality: values, and bit offsets of fields.
    localparam LOAD_POP_PREV      = 4;
    localparam LOAD_PUSH_PREV     = 6;
    localparam LOAD_COLS          = 58;
    localparam LOAD_ROWS          = 74;
    localparam LOAD_PLANES        = 90;
    localparam GEMM_KERNEL_ROWS   = 96;
    localparam GEMM_KERNEL_COLS   = 104;
    localparam GEMM_CHANNEL_TILES = 112;
    localparam GEMM_IMAGES        = 128;
    localparam GEMM_ROWS          = 136;
    localparam GEMM_COLS          = 152;
    localparam STORE_POP_NEXT     = 5;
    localparam STORE_PUSH_NEXT    = 7;
    localparam STORE_COLS         = 56;
    localparam STORE_ROWS         = 72;
    localparam STORE_PLANES       = 88;

    wire [OPCODE_W-1:0] opcode             = instr_data[OPCODE_W-1:0];
    wire                load_pop_prev      = instr_data[LOAD_POP_PREV];
    wire                load_push_prev     = instr_data[LOAD_PUSH_PREV];
    wire [15:0]         load_cols          = instr_data[LOAD_COLS +: 16];
    wire [15:0]         load_rows          = instr_data[LOAD_ROWS +: 16];
    wire [15:0]         load_planes        = instr_data[LOAD_PLANES +: 16];
    wire [7:0]          gemm_kernel_rows   = instr_data[GEMM_KERNEL_ROWS +: 8];
    wire [7:0]          gemm_kernel_cols   = instr_data[GEMM_KERNEL_COLS +: 8];
    wire [15:0]         gemm_channel_tiles = instr_data[GEMM_CHANNEL_TILES +: 16];
    wire [7:0]          gemm_images        = instr_data[GEMM_IMAGES +: 8];
    wire [15:0]         gemm_rows          = instr_data[GEMM_ROWS +: 16];
    wire [15:0]         gemm_cols          = instr_data[GEMM_COLS +: 16];
    wire                store_pop_next     = instr_data[STORE_POP_NEXT];
    wire                store_push_next    = instr_data[STORE_PUSH_NEXT];
    wire [15:0]         store_cols         = instr_data[STORE_COLS +: 16];
    wire [15:0]         store_rows         = instr_data[STORE_ROWS +: 16];
    wire [15:0]         store_planes       = instr_data[STORE_PLANES +: 16];
    wire                is_load            = (opcode == LOAD) && |load_cols && |load_rows && |load_planes &&
            !load_pop_prev && !load_push_prev;
    wire                is_gemm            = (opcode == GEMM) && |gemm_kernel_rows && |gemm_kernel_cols &&
            |gemm_channel_tiles && |gemm_images && |gemm_rows && |gemm_cols;
    wire                is_store           = (opcode == STORE) && |store_cols && |store_rows &&
            |store_planes && !store_pop_next && !store_push_next;
    wire                is_sync            = opcode == SYNC;
    wire                is_finish          = opcode == FINISH;
    wire                is_compute         = is_gemm || is_sync;
    wire                legal              = is_load || is_compute || is_store || is_finish;
    wire                queue_ready        = is_load ? load_ready : is_compute ? compute_ready : !is_store ||
            store_ready;
    wire                offered            = instr_valid && !halt;

    assign instr_ready         = queue_ready && !halt;
    assign load_valid          = offered && is_load;
    assign compute_valid       = offered && is_compute;
    assign store_valid         = offered && is_store;
    assign load_data           = instr_data[OPCODE_W +: LOAD_BITS];
    assign compute_data        = {instr_data[OPCODE_W +: COMPUTE_BITS-1], is_sync};
    assign store_data          = instr_data[OPCODE_W +: STORE_BITS];
    assign dispatched          = offered && legal && queue_ready;
    assign finish              = offered && is_finish;
    assign illegal_instruction = offered && !legal;

    // Bits above the longest instruction are reserved.
    wire unused = &{1'b0, instr_data};

endmodule

`default_nettype wire
