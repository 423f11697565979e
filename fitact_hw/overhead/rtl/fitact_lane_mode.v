// Lane with a single activation beside linear: what a machine for one protection scheme needs.
//
// `activate` 0 is linear (the last layer), 1 is MODE: 1 ReLU, 2 clip, 3 saturate. Synthesis removes the
// modes that can no longer be chosen; everything else is fitact_lane.

`default_nettype none

module fitact_lane_mode #(
    parameter       DATA_W    = 8,
    parameter       ACC_W     = 32,
    parameter       SHIFT_W   = 6,
    parameter       HAS_BOUND = 1,
    parameter [1:0] MODE      = 2'd2
) (
    input  wire               clk,
    input  wire [1:0]         acc_op,
    input  wire [SHIFT_W-1:0] lshift,
    input  wire [ACC_W-1:0]   psum,
    input  wire [ACC_W-1:0]   acc_data,
    output wire [ACC_W-1:0]   sum_q,
    input  wire [ACC_W-1:0]   bias,
    input  wire [SHIFT_W-1:0] shift,
    input  wire [DATA_W-1:0]  bound,
    input  wire               activate,
    output wire [DATA_W-1:0]  out_q
);

    `include "fitact_codes.vh"

    fitact_lane #(
        .DATA_W(DATA_W),
        .ACC_W(ACC_W),
        .SHIFT_W(SHIFT_W),
        .HAS_BOUND(HAS_BOUND)
    ) u_lane (
        .clk(clk),
        .acc_op(acc_op),
        .lshift(lshift),
        .psum(psum),
        .acc_data(acc_data),
        .sum_q(sum_q),
        .bias(bias),
        .shift(shift),
        .bound(bound),
        .act_mode(activate ? MODE : ACT_LINEAR),
        .out_q(out_q),
        .hit()
    );

endmodule

`default_nettype wire
