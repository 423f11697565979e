// The lanes below the array: accumulate, add the bias, shift and clamp one pixel a cycle.
//
// The only way from the partial sums to the output buffer leads through a lane and its clamp.
// The bound comes from the bound buffer or with the pixel's token.
//
// Composed by fitact_hw.verilog for the default configuration (16x16, 8-bit words, bounds: neuron); change the
// generator, not this file.

`default_nettype none

module fitact_lanes #(
    parameter COLS         = 16,
    parameter DATA_W       = 8,
    parameter ACC_W        = 32,
    parameter SHIFT_W      = 6,
    parameter BIAS_LANE_W  = 38,  // bias and shift
    parameter ACC_ADDR_W   = 9,
    parameter BIAS_ADDR_W  = 6,
    parameter OUT_ADDR_W   = 10,
    parameter BOUND_ADDR_W = 8,
    parameter TOKEN_W      = 60
) (
    input  wire                        clk,
    input  wire                        rst_n,
    input  wire                        clear,

    // Pixel tokens, one cycle ahead of the partial sums.
    input  wire                        token_valid,
    input  wire [TOKEN_W-1:0]          token_data,
    input  wire [COLS*ACC_W-1:0]       psum,

    // Accumulator.
    output wire                        acc_rd_en,
    output wire [ACC_ADDR_W-1:0]       acc_rd_addr,
    input  wire [COLS*ACC_W-1:0]       acc_rd_data,
    output wire                        acc_wr_en,
    output wire [ACC_ADDR_W-1:0]       acc_wr_addr,
    output wire [COLS*ACC_W-1:0]       acc_wr_data,

    // Bias and bound buffer.
    output wire                        bias_rd_en,
    output wire [BIAS_ADDR_W-1:0]      bias_rd_addr,
    input  wire [COLS*BIAS_LANE_W-1:0] bias_rd_data,
    output wire                        bound_rd_en,
    output wire [BOUND_ADDR_W-1:0]     bound_rd_addr,
    input  wire [COLS*DATA_W-1:0]      bound_rd_data,

    // Output buffer.
    output wire                        out_wr_en,
    output wire [OUT_ADDR_W-1:0]       out_wr_addr,
    output wire [COLS*DATA_W-1:0]      out_wr_data,

    // End of an instruction.
    output wire                        retire,
    output wire                        push_prev,      // a token for the load unit
    output wire                        push_next,      // a token for the store unit
    output wire                        busy
);

    genvar c;

    wire [1:0]         acc_op;        // 0 overwrite, 1 add, 2 maximum
    wire [SHIFT_W-1:0] lshift;
    wire [1:0]         act_mode;      // 0 linear, 1 ReLU, 2 clip, 3 saturate
    wire [DATA_W-1:0]  layer_bound;   // bound of every neuron of the pixel
    wire               bound_select;  // 1: each lane takes its bound from the bound buffer
    wire [0:0]         bound_part;
    wire [COLS-1:0]    hits;

    fitact_epilogue #(
        .DATA_W           (DATA_W),
        .SHIFT_W          (SHIFT_W),
        .ACC_ADDR_W       (ACC_ADDR_W),
        .BIAS_ADDR_W      (BIAS_ADDR_W),
        .OUT_ADDR_W       (OUT_ADDR_W),
        .BOUND_ADDR_W     (BOUND_ADDR_W),
        .BOUND_PACK_W     (0),
        .BOUND_PART_W     (1),
        .HAS_BOUND        (1),
        .HAS_BOUND_BUFFER (1),
        .TOKEN_W          (TOKEN_W)
    ) u_epilogue (
        .clk           (clk),
        .rst_n         (rst_n),
        .clear         (clear),
        .token_valid   (token_valid),
        .token_data    (token_data),
        .acc_rd_en     (acc_rd_en),
        .acc_rd_addr   (acc_rd_addr),
        .acc_op        (acc_op),
        .lshift        (lshift),
        .acc_wr_en     (acc_wr_en),
        .acc_wr_addr   (acc_wr_addr),
        .bias_rd_en    (bias_rd_en),
        .bias_rd_addr  (bias_rd_addr),
        .bound_rd_en   (bound_rd_en),
        .bound_rd_addr (bound_rd_addr),
        .bound_part    (bound_part),
        .bound_select  (bound_select),
        .layer_bound   (layer_bound),
        .act_mode      (act_mode),
        .out_wr_en     (out_wr_en),
        .out_wr_addr   (out_wr_addr),
        .retire        (retire),
        .push_prev     (push_prev),
        .push_next     (push_next),
        .busy          (busy)
    );

    generate
        for (c = 0; c < COLS; c = c + 1) begin : g_lane
            wire [DATA_W-1:0] bound;

            assign bound = bound_select ? bound_rd_data[c*DATA_W +: DATA_W] : layer_bound;

            fitact_lane #(
                .DATA_W    (DATA_W),
                .ACC_W     (ACC_W),
                .SHIFT_W   (SHIFT_W),
                .HAS_BOUND (1)
            ) u_lane (
                .clk      (clk),
                .acc_op   (acc_op),
                .lshift   (lshift),
                .psum     (psum[c*ACC_W +: ACC_W]),
                .acc_data (acc_rd_data[c*ACC_W +: ACC_W]),
                .sum_q    (acc_wr_data[c*ACC_W +: ACC_W]),
                .bias     (bias_rd_data[c*BIAS_LANE_W +: ACC_W]),
                .shift    (bias_rd_data[c*BIAS_LANE_W+ACC_W +: SHIFT_W]),
                .bound    (bound),
                .act_mode (act_mode),
                .out_q    (out_wr_data[c*DATA_W +: DATA_W]),
                .hit      (hits[c])
            );
        end
    endgenerate

    // Constant 0 in this configuration.
    wire unused = &{1'b0, bound_part, hits};

endmodule

`default_nettype wire
