// Queue of the compute unit: holds instructions until the tokens they wait for are there, and offers
// their fields by name.
//
// Composed by fitact_hw.verilog for the default configuration (16x16, 8-bit words, bounds: neuron); change the
// generator, not this file.

`default_nettype none

module fitact_compute_queue #(
    parameter DEPTH      = 4,   // instructions
    parameter ENTRY_BITS = 305
) (
    input  wire                  clk,
    input  wire                  rst_n,
    input  wire                  clear,
    input  wire                  halt,                     // nothing is offered while this is high

    // From the decoder.
    input  wire                  entry_valid,
    output wire                  entry_ready,
    input  wire [ENTRY_BITS-1:0] entry_data,
    output wire                  waiting,                  // an instruction is in the queue

    // Tokens.
    input  wire                  prev_available,
    output wire                  take_prev,
    input  wire                  next_available,
    output wire                  take_next,

    // To the unit. One output tile: loops over kernel row, kernel column, channel tile (outer) and image, row,
    // column.
    output wire                  instr_valid,
    input  wire                  instr_ready,
    output wire                  instr_is_sync,            // SYNC instead of GEMM
    output wire                  instr_push_prev,          // give a token to the previous unit when finished
    output wire                  instr_push_next,          // give a token to the next unit when finished
    // activation word of the first pixel for kernel row 0, column 0, channel tile 0
    output wire [15:0]           instr_act_base,
    output wire [15:0]           instr_kernel_row_stride,  // activation words from one kernel row to the next
    // activation words from one input-channel tile to the next
    output wire [15:0]           instr_channel_stride,
    output wire [15:0]           instr_image_stride,       // activation words from one image to the next
    output wire [15:0]           instr_row_stride,         // activation words from one output row to the next
    // activation words from one output column to the next
    output wire [7:0]            instr_col_stride,
    output wire [7:0]            instr_kernel_rows,        // kernel rows (>= 1)
    // kernel columns (>= 1); consecutive columns are consecutive words
    output wire [7:0]            instr_kernel_cols,
    output wire [15:0]           instr_channel_tiles,      // input-channel tiles (>= 1)
    output wire [7:0]            instr_images,             // images (>= 1)
    output wire [15:0]           instr_rows,               // output rows (>= 1)
    output wire [15:0]           instr_cols,               // output columns (>= 1)
    // first weight word; a weight tile is one word per array row, tiles follow each other
    output wire [15:0]           instr_weight_base,
    // weight words from one tile to the next; 0 uses one tile for all (pools, residuals)
    output wire [15:0]           instr_weight_stride,
    // accumulator word of the first pixel; pixels follow each other
    output wire [15:0]           instr_acc_base,
    // 0 overwrite then add, 1 add, 2 overwrite then maximum, 3 maximum
    output wire [1:0]            instr_acc_mode,
    // left shift of every array result before it is accumulated
    output wire [5:0]            instr_lshift,
    // results of the last weight tile go through the lanes to the output buffer
    output wire                  instr_epilogue,
    // 0 linear, 1 ReLU, 2 clip (zero above the bound), 3 saturate
    output wire [1:0]            instr_act_mode,
    // 1: bounds from the bound buffer, for each neuron, patch or channel as the machine has them; 0:
    // layer_bound
    output wire                  instr_neuron_bounds,
    // bound of every neuron when neuron_bounds = 0 (signed, low word_bits used); else the base of 4-bit codes
    output wire [31:0]           instr_layer_bound,
    // bound of pixel (0, 0), counted within a lane (a word of codes holds several); restarts with every image
    output wire [15:0]           instr_bound_base,
    output wire [15:0]           instr_bias_base,          // bias word (bias and shift of each column)
    // output word of the first pixel; pixels follow each other
    output wire [15:0]           instr_out_base
);

    wire                  head_valid;
    wire                  head_ready;
    wire [ENTRY_BITS-1:0] head_data;   // oldest instruction
    wire                  pop_prev;
    wire                  pop_next;

    // Fields from the highest bit down, as in fitact_hw/isa.py.
    assign {instr_out_base, instr_bias_base, instr_bound_base, instr_layer_bound,
            instr_neuron_bounds, instr_act_mode, instr_epilogue, instr_lshift, instr_acc_mode,
            instr_acc_base, instr_weight_stride, instr_weight_base, instr_cols, instr_rows,
            instr_images, instr_channel_tiles, instr_kernel_cols, instr_kernel_rows,
            instr_col_stride, instr_row_stride, instr_image_stride, instr_channel_stride,
            instr_kernel_row_stride, instr_act_base, instr_push_next, instr_push_prev, pop_next,
            pop_prev, instr_is_sync} = head_data;

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
        .pop_next       (pop_next),
        .next_available (next_available),
        .take_next      (take_next),
        .unit_valid     (instr_valid),
        .unit_ready     (instr_ready)
    );

    assign waiting = head_valid;

endmodule

`default_nettype wire
