// Range check of parameters on their way from memory into a buffer: a lane whose word is beyond the limit becomes zero.
//
// EXACT 1: `limit` is the largest magnitude that passes. 0: it is a number of magnitude bits; -2^limit to 2^limit - 1 pass,
// every word from LANE_W - 1 on. Only the low LANE_W bits of a lane are looked at and zeroed; what lies above them, up to
// SLOT_W, passes as it is (the shift above a bias). Combinational. EXACT needs LIMIT_W >= LANE_W.

`default_nettype none

module fitact_range_check #(
    parameter LANES   = 4,
    parameter LANE_W  = 8,
    parameter SLOT_W  = 8,                // from one lane to the next
    parameter LIMIT_W = 6,
    parameter EXACT   = 0
) (
    input  wire [LIMIT_W-1:0]      limit,
    input  wire [LANES*SLOT_W-1:0] data,
    output wire [LANES*SLOT_W-1:0] checked,
    output wire [LANES-1:0]        beyond  // lanes that were made zero
);

    genvar c;
    generate
        for (c = 0; c < LANES; c = c + 1) begin : g_lane
            wire [LANE_W-1:0] word = data[c*SLOT_W +: LANE_W];
            wire              negative = word[LANE_W-1];
            // |word|, less one if it is negative
            wire [LANE_W-2:0] magnitude = word[LANE_W-2:0] ^ {(LANE_W - 1){negative}};

            if (EXACT != 0) begin : g_exact
                wire [LIMIT_W:0] size = {{(LIMIT_W + 1 - LANE_W){1'b0}}, magnitude, negative};

                assign beyond[c] = size > {limit, 1'b0};
            end else begin : g_bits
                wire [LANE_W-2:0] above = {(LANE_W - 1){1'b1}} << limit;

                assign beyond[c] = |(magnitude & above);
            end

            assign checked[c*SLOT_W +: LANE_W] = word & {LANE_W{!beyond[c]}};
            if (SLOT_W > LANE_W) begin : g_rest
                assign checked[c*SLOT_W + LANE_W +: SLOT_W - LANE_W] = data[c*SLOT_W + LANE_W +: SLOT_W - LANE_W];
            end
        end
    endgenerate

endmodule

`default_nettype wire
