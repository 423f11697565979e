// SECDED encoder at the write port of a buffer: check bits of every lane of a word.
//
// The code is that of fitact_secded_matrix.v: a single error gives a syndrome with an odd number of ones, a double error an
// even one that is not zero. A lane is one code word.

`default_nettype none

module fitact_secded_encoder #(
    parameter LANES   = 4,
    parameter LANE_W  = 8,
    parameter CHECK_W = 5
) (
    input  wire [LANES*LANE_W-1:0]  data,
    output wire [LANES*CHECK_W-1:0] check  // lane i: bits i * CHECK_W and up
);

    wire [CHECK_W*LANE_W-1:0] matrix;

    fitact_secded_matrix #(
        .LANE_W(LANE_W),
        .CHECK_W(CHECK_W)
    ) u_matrix (
        .rows(matrix)
    );

    genvar i, k;
    generate
        for (i = 0; i < LANES; i = i + 1) begin : g_lane
            for (k = 0; k < CHECK_W; k = k + 1) begin : g_check
                assign check[i*CHECK_W+k] = ^(data[i*LANE_W +: LANE_W] & matrix[k*LANE_W +: LANE_W]);
            end
        end
    endgenerate

endmodule

`default_nettype wire
