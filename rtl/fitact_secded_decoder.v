// SECDED decoder at the read port of a buffer: corrects one wrong bit of a lane, zeroes a lane with two.
//
// The code is that of fitact_secded_matrix.v. Combinational, so that a protected buffer answers in the same cycle as
// a plain one. A syndrome that belongs to no single bit (two wrong bits, and what more can be told) is an error
// that is detected only: the lane then reads as zero, as a clipped neuron would.

`default_nettype none

module fitact_secded_decoder #(
    parameter LANES   = 4,
    parameter LANE_W  = 8,
    parameter CHECK_W = 5
) (
    input  wire [LANES*LANE_W-1:0]  stored,
    input  wire [LANES*CHECK_W-1:0] check,
    output wire [LANES*LANE_W-1:0]  data,
    output wire [LANES-1:0]         corrected,  // the lane, check bits included, had one wrong bit
    output wire [LANES-1:0]         detected    // it had more, and is zero
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
            wire [LANE_W-1:0]  word = stored[i*LANE_W +: LANE_W];
            wire [CHECK_W-1:0] syndrome;
            for (k = 0; k < CHECK_W; k = k + 1) begin : g_check
                assign syndrome[k] = check[i*CHECK_W+k] ^ (^(word & matrix[k*LANE_W +: LANE_W]));
            end

            // A data bit is wrong if its column is the syndrome: it agrees with it in every row.
            reg [LANE_W-1:0] flip;
            integer row;
            always @(*) begin
                flip = {LANE_W{1'b0}};
                if (syndrome != {CHECK_W{1'b0}}) begin
                    flip = {LANE_W{1'b1}};
                    for (row = 0; row < CHECK_W; row = row + 1)
                        flip = flip & ({LANE_W{((syndrome >> row) & 1) != 0}} ~^ matrix[row*LANE_W +: LANE_W]);
                end
            end

            wire wrong = |syndrome;
            wire check_bit = (syndrome & (syndrome - 1'b1)) == {CHECK_W{1'b0}};  // at most one
            assign corrected[i] = wrong && (check_bit || |flip);
            assign detected[i]  = wrong && !check_bit && !(|flip);
            assign data[i*LANE_W +: LANE_W] = detected[i] ? {LANE_W{1'b0}} : word ^ flip;
        end
    endgenerate

endmodule

`default_nettype wire
