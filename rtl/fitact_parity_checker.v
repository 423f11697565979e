// Parity checker at the read port of a buffer: reports a lane whose parity is wrong and zeroes it.
//
// Combinational, so that a protected buffer answers in the same cycle as a plain one. It corrects nothing and misses
// an even number of wrong bits in one lane.

`default_nettype none

module fitact_parity_checker #(
    parameter LANES  = 4,
    parameter LANE_W = 8
) (
    input  wire [LANES*LANE_W-1:0] stored,
    input  wire [LANES-1:0]        check,
    output wire [LANES*LANE_W-1:0] data,
    output wire [LANES-1:0]        detected
);

    genvar i;
    generate
        for (i = 0; i < LANES; i = i + 1) begin : g_lane
            assign detected[i] = ^stored[i*LANE_W +: LANE_W] ^ check[i];
            assign data[i*LANE_W +: LANE_W] = detected[i] ? {LANE_W{1'b0}} : stored[i*LANE_W +: LANE_W];
        end
    endgenerate

endmodule

`default_nettype wire
