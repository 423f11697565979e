// Counter that adds `step` a cycle and stays at its largest value instead of wrapping.

`default_nettype none

module fitact_saturating_counter #(
    parameter COUNT_W = 32,
    parameter STEP_W  = 1     // below COUNT_W
) (
    input  wire               clk,
    input  wire               rst_n,
    input  wire               clear,
    input  wire [STEP_W-1:0]  step,
    output wire [COUNT_W-1:0] count
);

    reg  [COUNT_W-1:0] count_q;
    wire [COUNT_W:0]   sum = {1'b0, count_q} + {{(COUNT_W + 1 - STEP_W){1'b0}}, step};

    always @(posedge clk) begin
        if (!rst_n || clear) count_q <= {COUNT_W{1'b0}};
        else                 count_q <= sum[COUNT_W] ? {COUNT_W{1'b1}} : sum[COUNT_W-1:0];
    end

    assign count = count_q;

endmodule

`default_nettype wire
