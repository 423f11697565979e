// Check matrix of the SECDED code of a lane: a constant, for encoder and decoder.
//
// An odd-weight-column code (Hsiao, IBM J. Res. Dev. 14, 1970). Row k: data bits under check bit k. Column of data bit i:
// the i-th code of CHECK_W bits with an odd number of ones, three or more, few first. CHECK_W: the smallest r with
// 2^(r-1) >= LANE_W + r, so 5, 6, 7, 8 for 8, 16, 32, 64 bits: codes (13,8), (22,16), (39,32), (72,64).

`default_nettype none

module fitact_secded_matrix #(
    parameter LANE_W  = 8,
    parameter CHECK_W = 5
) (
    output wire [CHECK_W*LANE_W-1:0] rows  // row k: bits k * LANE_W and up
);

    function [CHECK_W*LANE_W-1:0] check_matrix;
        input unused;
        integer ones, code, place, total, index;
        begin
            check_matrix = {(CHECK_W * LANE_W){1'b0}};
            index = 0;
            for (ones = 3; ones <= CHECK_W; ones = ones + 2) begin
                for (code = 0; code < (1 << CHECK_W); code = code + 1) begin
                    total = 0;
                    for (place = 0; place < CHECK_W; place = place + 1) total = total + ((code >> place) & 1);
                    if (total == ones && index < LANE_W) begin
                        for (place = 0; place < CHECK_W; place = place + 1)
                            if (((code >> place) & 1) != 0)
                                check_matrix = check_matrix
                                             | ({{(CHECK_W * LANE_W - 1){1'b0}}, 1'b1} << (place * LANE_W + index));
                        index = index + 1;
                    end
                end
            end
        end
    endfunction

    localparam [CHECK_W*LANE_W-1:0] MATRIX = check_matrix(1'b0);

    assign rows = MATRIX;

endmodule

`default_nettype wire
