// Parity encoder at the write port of a buffer: one bit of even parity for every lane of a word.

`default_nettype none

module fitact_parity_encoder #(
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

`default_nettype wire
