// Which bound of the bound buffer belongs to the pixel that the sequencer issues.
//
// WALK 0: every pixel has its own bound. 1: patches of 2 x 2 pixels share one; patches lie row after row, the last one of a
// row or column may be cut. 2: all pixels share one. All images have the same bounds. A memory word holds 2^PACK_W
// bounds of each lane; `fresh` is low if the bound lies in the word of the pixel before, which the memory still holds.

`default_nettype none

module fitact_bound_walk #(
    parameter WALK   = 0,
    parameter PACK_W = 0
) (
    input  wire        clk,
    input  wire        begin_gemm,  // with begin_tile: `base` belongs to a new instruction
    input  wire        begin_tile,
    input  wire        step,        // a pixel is issued
    input  wire        last_col,
    input  wire        last_row,
    input  wire [15:0] base,
    output wire [16:0] place,
    output wire        fresh
);

    reg  [15:0] base_q;
    wire [16:0] start = {1'b0, begin_gemm ? base : base_q};

    always @(posedge clk) if (begin_gemm) base_q <= base;

    generate
        if (WALK == 2) begin : g_channel
            assign place = {1'b0, base_q};
        end else begin : g_walk
            reg  [16:0] place_q;
            wire [16:0] next_place;

            assign place = place_q;

            always @(posedge clk) begin
                if (begin_tile) place_q <= start;
                else if (step)  place_q <= (last_col && last_row) ? {1'b0, base_q} : next_place;
            end

            if (WALK == 1) begin : g_patch
                reg        odd_col_q;
                reg        odd_row_q;
                reg [16:0] row_q;  // bound of the first pixel of the row

                assign next_place = (last_col && !odd_row_q) ? row_q
                                                             : place_q + {16'd0, last_col || odd_col_q};

                always @(posedge clk) begin
                    if (begin_tile) begin
                        odd_col_q <= 1'b0;
                        odd_row_q <= 1'b0;
                        row_q     <= start;
                    end else if (step) begin
                        odd_col_q <= !last_col && !odd_col_q;
                        if (last_col) odd_row_q <= !last_row && !odd_row_q;
                        if (last_col) row_q     <= last_row ? {1'b0, base_q} : next_place;
                    end
                end
            end else begin : g_neuron
                assign next_place = place_q + 17'd1;
            end
        end
    endgenerate

    generate
        if (WALK == 0 && PACK_W == 0) begin : g_always
            assign fresh = 1'b1;
        end else begin : g_fresh
            reg               first_q;
            reg [16-PACK_W:0] word_q;

            assign fresh = first_q || word_q != place[16:PACK_W];

            always @(posedge clk) begin
                if (begin_tile) first_q <= 1'b1;
                else if (step)  first_q <= 1'b0;
                if (step)       word_q  <= place[16:PACK_W];
            end
        end
    endgenerate

    wire unused = &{1'b0, begin_tile, step, last_col, last_row, start};

endmodule

`default_nettype wire
