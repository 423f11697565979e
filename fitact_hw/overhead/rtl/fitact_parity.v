// Even parity of every lane of a memory word: encoder at the write port, checker at the read port.
//
// The checker zeroes a lane whose parity is wrong and reports it; it corrects nothing.

`default_nettype none

module fitact_parity_encode #(
    parameter LANES  = 4,
    parameter LANE_W = 8
) (
    input  wire [LANES*LANE_W-1:0] data,
    output wire [LANES-1:0]        check
);

    genvar i;
    generate
        for (i = 0; i < LANES; i = i + 1) begin : g_lane
            assign check[i] = ^data[i*LANE_W +: LANE_W];
        end
    endgenerate

endmodule

module fitact_parity_check #(
    parameter LANES  = 4,
    parameter LANE_W = 8
) (
    input  wire [LANES*LANE_W-1:0] stored,
    input  wire [LANES-1:0]        check,
    output wire [LANES*LANE_W-1:0] data,
    output wire                    detected
);

    wire [LANES-1:0] wrong;

    genvar i;
    generate
        for (i = 0; i < LANES; i = i + 1) begin : g_lane
            assign wrong[i] = ^stored[i*LANE_W +: LANE_W] ^ check[i];
            assign data[i*LANE_W +: LANE_W] = wrong[i] ? {LANE_W{1'b0}} : stored[i*LANE_W +: LANE_W];
        end
    endgenerate

    assign detected = |wrong;

endmodule

`default_nettype wire
