// Counts the parameters that range checks made zero since the program started; stops at its largest value.
//
// `beyond` are the lanes of the word that is being written, all low without one. They are registered before they are
// counted, so that the sum adds nothing to the way of the data. LANES must be below 2^COUNT_W.

`default_nettype none

module fitact_range_count #(
    parameter LANES   = 4,
    parameter COUNT_W = 16
) (
    input  wire               clk,
    input  wire               rst_n,
    input  wire               clear,
    input  wire [LANES-1:0]   beyond,
    output wire [COUNT_W-1:0] count
);

    reg [LANES-1:0]   beyond_q;
    reg [COUNT_W-1:0] count_q;
    reg [COUNT_W:0]   sum;

    integer i;
    always @(*) begin
        sum = {1'b0, count_q};
        for (i = 0; i < LANES; i = i + 1) sum = sum + {{COUNT_W{1'b0}}, beyond_q[i]};
    end

    always @(posedge clk) begin
        if (!rst_n || clear) begin
            beyond_q <= {LANES{1'b0}};
            count_q  <= {COUNT_W{1'b0}};
        end else begin
            beyond_q <= beyond;
            count_q  <= sum[COUNT_W] ? {COUNT_W{1'b1}} : sum[COUNT_W-1:0];
        end
    end

    assign count = count_q;

endmodule

`default_nettype wire
