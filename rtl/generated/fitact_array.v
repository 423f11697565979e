// Weight-stationary systolic array: ROWS input channels by COLS output channels.
//
// Activations travel east, partial sums south. Row r is skewed by r cycles and column c's result is
// deskewed, so that all COLS sums of a pixel stand at `psum_out` ROWS + COLS - 1 cycles after its
// activation word stood at `act_in`. Weights: see docs/reference/machine.md, "Weights".
//
// Composed by fitact_hw.verilog for the default configuration (16x16, 8-bit words, bounds: neuron); change the
// generator, not this file.

`default_nettype none

module fitact_array #(
    parameter ROWS   = 16,
    parameter COLS   = 16,
    parameter DATA_W = 8,
    parameter ACC_W  = 32
) (
    input  wire                   clk,
    input  wire [ROWS*DATA_W-1:0] act_in,     // lane r: input channel r of the pixel
    input  wire [COLS*DATA_W-1:0] weight_in,  // lane c: weight of output channel c
    // shadow weights become active, one cycle before the tile's first pixel
    input  wire                   swap_in,
    input  wire [ROWS-1:0]        load_in,    // bit r: weight_in holds the weights of row r
    output wire [COLS*ACC_W-1:0]  psum_out    // lane c: partial sum of output channel c
);

    genvar r, c;

    wire [COLS*DATA_W-1:0]         weight;  // weight_in, lane c skewed by c
    wire [(ROWS+1)*COLS*ACC_W-1:0] psum;    // word r: partial sums as they enter row r from the north

    assign psum[0 +: COLS*ACC_W] = {COLS*ACC_W{1'b0}};

    generate
        for (r = 0; r < ROWS; r = r + 1) begin : g_row
            wire [(COLS+1)*DATA_W-1:0] act;   // word c: activation as it enters column c
            wire [COLS:0]              swap;  // bit c: swap as it enters column c
            wire [COLS:0]              load;  // bit c: load as it enters column c

            assign load[0] = load_in[r];

            fitact_skew #(
                .WIDTH (DATA_W),
                .DELAY (r)
            ) u_act_skew (
                .clk      (clk),
                .in_data  (act_in[r*DATA_W +: DATA_W]),
                .out_data (act[0 +: DATA_W])
            );

            fitact_skew #(
                .WIDTH (1),
                .DELAY (r)
            ) u_swap_skew (
                .clk      (clk),
                .in_data  (swap_in),
                .out_data (swap[0])
            );

            for (c = 0; c < COLS; c = c + 1) begin : g_col
                fitact_pe #(
                    .DATA_W (DATA_W),
                    .ACC_W  (ACC_W)
                ) u_pe (
                    .clk       (clk),
                    .act_in    (act[c*DATA_W +: DATA_W]),
                    .swap_in   (swap[c]),
                    .load_in   (load[c]),
                    .weight_in (weight[c*DATA_W +: DATA_W]),
                    .psum_in   (psum[(r*COLS+c)*ACC_W +: ACC_W]),
                    .act_q     (act[(c+1)*DATA_W +: DATA_W]),
                    .swap_q    (swap[c+1]),
                    .load_q    (load[c+1]),
                    .psum_q    (psum[((r+1)*COLS+c)*ACC_W +: ACC_W])
                );
            end

            // What leaves the last column goes nowhere.
            wire unused = &{1'b0, act[COLS*DATA_W +: DATA_W], swap[COLS], load[COLS]};
        end
    endgenerate

    generate
        for (c = 0; c < COLS; c = c + 1) begin : g_edge
            fitact_skew #(
                .WIDTH (DATA_W),
                .DELAY (c)
            ) u_weight_skew (
                .clk      (clk),
                .in_data  (weight_in[c*DATA_W +: DATA_W]),
                .out_data (weight[c*DATA_W +: DATA_W])
            );

            fitact_skew #(
                .WIDTH (ACC_W),
                .DELAY (COLS - 1 - c)
            ) u_psum_deskew (
                .clk      (clk),
                .in_data  (psum[(ROWS*COLS+c)*ACC_W +: ACC_W]),
                .out_data (psum_out[c*ACC_W +: ACC_W])
            );
        end
    endgenerate

endmodule

`default_nettype wire
