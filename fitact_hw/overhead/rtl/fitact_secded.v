// Single error correction, double error detection: encoder at the write port, decoder at the read port.
//
// Hsiao's code (IBM J. Res. Dev. 14, 1970): the column of data bit i is the i-th number of CHECK_W bits with an
// odd number of ones, three or more, few ones first; check bits have the columns with a single one. A single
// error gives an odd syndrome, a double error an even one that is not zero.
// CHECK_W: smallest r with 2^(r-1) >= DATA_W + r (5, 6, 7, 8 for 8, 16, 32, 64 data bits).

`default_nettype none

module fitact_secded_encode #(
    parameter DATA_W  = 32,
    parameter CHECK_W = 7
) (
    input  wire [DATA_W-1:0]  data,
    output wire [CHECK_W-1:0] check
);

    // One pass over all codes for each number of ones, collecting the first DATA_W.
    function [DATA_W*CHECK_W-1:0] columns;
        input unused;
        integer ones, code, place, index, total;
        begin
            columns = {(DATA_W * CHECK_W){1'b0}};
            index = 0;
            for (ones = 3; ones <= CHECK_W; ones = ones + 2) begin
                for (code = 0; code < (1 << CHECK_W); code = code + 1) begin
                    total = 0;
                    for (place = 0; place < CHECK_W; place = place + 1) total = total + ((code >> place) & 1);
                    if (total == ones && index < DATA_W) begin
                        for (place = 0; place < CHECK_W; place = place + 1)
                            columns[index*CHECK_W+place] = (code >> place) & 1;
                        index = index + 1;
                    end
                end
            end
        end
    endfunction

    localparam [DATA_W*CHECK_W-1:0] COLUMNS = columns(1'b0);

    genvar i, k;
    generate
        for (k = 0; k < CHECK_W; k = k + 1) begin : g_check
            wire [DATA_W-1:0] used;
            for (i = 0; i < DATA_W; i = i + 1) begin : g_data
                assign used[i] = data[i] & COLUMNS[i*CHECK_W+k];
            end
            assign check[k] = ^used;
        end
    endgenerate

endmodule

module fitact_secded_decode #(
    parameter DATA_W  = 32,
    parameter CHECK_W = 7
) (
    input  wire [DATA_W-1:0]  stored,
    input  wire [CHECK_W-1:0] check,
    output wire [DATA_W-1:0]  data,
    output wire               corrected,
    output wire               detected
);

    wire [CHECK_W-1:0] expected;
    wire [CHECK_W-1:0] syndrome = expected ^ check;

    fitact_secded_encode #(
        .DATA_W(DATA_W),
        .CHECK_W(CHECK_W)
    ) u_encode (
        .data(stored),
        .check(expected)
    );

    // The column of a data bit is what the encoder makes of that bit alone.
    genvar i;
    generate
        for (i = 0; i < DATA_W; i = i + 1) begin : g_data
            localparam [DATA_W-1:0] ONE_HOT = {{(DATA_W - 1){1'b0}}, 1'b1} << i;
            wire [CHECK_W-1:0] column;

            fitact_secded_encode #(
                .DATA_W(DATA_W),
                .CHECK_W(CHECK_W)
            ) u_column (
                .data(ONE_HOT),
                .check(column)
            );

            assign data[i] = stored[i] ^ (syndrome == column);
        end
    endgenerate

    wire odd = ^syndrome;

    assign corrected = odd;
    assign detected  = !odd && (|syndrome);

endmodule

`default_nettype wire
