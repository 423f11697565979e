// Clamp with a single activation beside linear: the part of a lane in which protection schemes differ.
//
// `activate` 0 is linear (the last layer), 1 is MODE: 1 ReLU, 2 clip, 3 saturate. Synthesis removes the modes that can no
// longer be chosen.

`default_nettype none

module fitact_clamp_mode #(
    parameter       DATA_W    = 8,
    parameter       ACC_W     = 32,
    parameter       HAS_BOUND = 1,
    parameter [1:0] MODE      = 2'd2
) (
    input  wire              clk,
    input  wire [ACC_W-1:0]  value,
    input  wire [DATA_W-1:0] bound,
    input  wire              activate,
    output wire [DATA_W-1:0] out_q
);

    `include "fitact_codes.vh"

    fitact_clamp #(
        .DATA_W(DATA_W),
        .ACC_W(ACC_W),
        .HAS_BOUND(HAS_BOUND)
    ) u_clamp (
        .clk(clk),
        .value(value),
        .bound(bound),
        .act_mode(activate ? MODE : ACT_LINEAR),
        .out_q(out_q),
        .hit()
    );

endmodule

`default_nettype wire
